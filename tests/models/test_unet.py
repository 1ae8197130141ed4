"""The U-Net: the sides of its levels, how it starts, and attention that is torch's."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from dlcourse.models.unet import ResidualBlock, SelfAttention, UNet


def randomized(module: nn.Module) -> nn.Module:
    """The module with no weight at zero, where many start."""
    torch.manual_seed(0)
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.2)
    return module.eval()


@pytest.mark.parametrize(("side", "lowest"), [(8, 2), (7, 2), (23, 6), (24, 3), (28, 4), (32, 4)])
def test_each_level_halves_the_side_and_large_images_begin_at_half(side: int, lowest: int) -> None:
    model, shapes = UNet((3, side, side), (4, 4, 8), embedding=2), []
    model.attention.register_forward_hook(lambda module, inputs, outputs: shapes.append(tuple(outputs.shape)))
    outputs = model(torch.randn(2, 3, side, side), torch.randn(2, 2))
    assert shapes == [(2, 8, lowest, lowest)]
    assert outputs.shape == (2, 3, side, side) and not outputs.any(), "it starts at zero"


def test_a_side_that_cannot_be_halved_is_padded_with_zeros_inside() -> None:
    model = randomized(UNet((1, 7, 6), (4, 8), embedding=2))
    images, embedding = torch.randn(2, 1, 7, 6), torch.randn(2, 2)
    torch.testing.assert_close(
        model(images, embedding), model(functional.pad(images, (0, 0, 0, 1)), embedding)[:, :, :7]
    )


@pytest.mark.parametrize("channels", [2, 4, 8, 12, 16])
def test_blocks_start_as_their_shortcut_and_then_hear_the_embedding(channels: int) -> None:
    maps, embedding = torch.randn(2, channels, 4, 4), torch.randn(2, 5)
    block, attention = ResidualBlock(channels, channels, 5), SelfAttention(channels)
    assert torch.equal(block(maps, embedding), maps) and torch.equal(attention(maps), maps)
    randomized(block)
    changed = embedding + torch.tensor([[1.0], [0.0]])
    difference = (block(maps, changed) - block(maps, embedding)).abs().amax(dim=(1, 2, 3))
    assert difference[0] > 0.01 and difference[1] == 0


def test_attention_is_torchs_from_each_place_to_all() -> None:
    layer = randomized(SelfAttention(8))
    reference = nn.MultiheadAttention(8, num_heads=4, batch_first=True).eval()
    with torch.no_grad():
        reference.in_proj_weight.copy_(layer.query_key_value.weight.flatten(1))
        reference.in_proj_bias.copy_(layer.query_key_value.bias)
        reference.out_proj.weight.copy_(layer.out.weight.flatten(1))
        reference.out_proj.bias.copy_(layer.out.bias)
        maps = torch.randn(2, 8, 3, 5)
        places = layer.norm(maps).flatten(2).transpose(1, 2)  # (B, C, H, W) -> (B, H W, C)
        expected, _ = reference(places, places, places)
        torch.testing.assert_close(
            layer(maps) - maps, expected.transpose(1, 2).reshape(2, 8, 3, 5), atol=1e-5, rtol=1e-4
        )
