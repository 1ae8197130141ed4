"""Each transform against torchvision with the same parameters, image by image; the whole against closed forms."""

import pytest
import torch
from torch import Tensor

from dlcourse.data.transforms import (
    WHITE,
    Augment,
    ImageTransform,
    adjust_brightness,
    adjust_contrast,
    adjust_hue,
    adjust_saturation,
    crop_images,
    cut_out,
    flip_images,
    resize_images,
    rotate_images,
)

COUNT = 6
ALL = Augment(crop=2, flip=True, rotation=10, brightness=0.3, contrast=0.3, saturation=0.3, hue=0.1, cutout=4)


def draw(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def pictures(channels: int = 3, height: int = 9, width: int = 12) -> Tensor:
    return torch.randint(0, 256, (COUNT, channels, height, width), generator=draw(0), dtype=torch.uint8)


def reference(name: str, images: Tensor, *parameters: object, **options: object) -> Tensor:
    """Torchvision's function applied to each image on its own, with the parameters that belong to it."""
    from torchvision.transforms.v2 import functional

    function = getattr(functional, name)
    return torch.stack([function(image, *each, **options) for image, *each in zip(images, *parameters, strict=True)])


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("side", [5, 20])
def test_resize_is_torchvisions(channels: int, side: int) -> None:
    images = pictures(channels)

    resized = resize_images(images, side)

    assert resized.dtype == torch.uint8
    assert torch.equal(resized, reference("resize", images, size=[side, side], antialias=True))


def test_resize_in_chunks_is_resize_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    at_once = resize_images(pictures(), 7)
    monkeypatch.setattr("dlcourse.data.transforms._RESIZE_CHUNK", 4)
    assert torch.equal(resize_images(pictures(), 7), at_once)


def test_crop_is_torchvisions_pad_and_crop() -> None:
    images = pictures()
    top, left = torch.tensor([0, 4, 2, 1, 3, 0]), torch.tensor([4, 0, 2, 3, 1, 0])
    padded = reference("pad", images, padding=[2, 2, 2, 2])

    cropped = crop_images(images, top, left, 2)

    assert torch.equal(cropped, reference("crop", padded, top.tolist(), left.tolist(), height=9, width=12))
    assert torch.equal(cropped[2], images[2])


def test_flip_mirrors_the_chosen_images() -> None:
    images = pictures()
    which = torch.tensor([True, False, True, True, False, False])

    flipped = flip_images(images, which)

    assert torch.equal(flipped[which], reference("horizontal_flip", images[which]))
    assert torch.equal(flipped[~which], images[~which])


@pytest.mark.parametrize("shape", [(9, 12), (12, 9), (8, 8)])
def test_rotate_is_torchvisions(shape: tuple[int, int]) -> None:
    from torchvision.transforms.v2 import InterpolationMode

    images = pictures(1, *shape).float()
    degrees = torch.tensor([0.0, 10.0, -10.0, 33.3, 90.5, -179.0])

    expected = reference("rotate", images, degrees.tolist(), interpolation=InterpolationMode.BILINEAR)

    torch.testing.assert_close(rotate_images(images, degrees), expected, rtol=0, atol=0.01)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("adjust", [adjust_brightness, adjust_contrast, adjust_saturation, adjust_hue])
def test_colors_are_torchvisions(adjust, channels: int) -> None:
    images = pictures(channels).float()
    images[0, :, :3] = 77.0  # gray pixels have no hue
    images[0, :, 3] = 0.0
    images[1] = torch.tensor([0.0, 200.0, 200.0])[:channels].view(-1, 1, 1)  # two channels equally bright
    limit = (-0.5, 0.5) if adjust is adjust_hue else (0.0, 2.0)
    parameters = torch.linspace(*limit, COUNT)

    expected = reference(adjust.__name__, images / WHITE, parameters.tolist()) * WHITE

    torch.testing.assert_close(adjust(images, parameters), expected, rtol=0, atol=0.01)


def test_adjusting_leaves_its_input_alone() -> None:
    images = pictures().float()
    before = images.clone()
    for adjust in (adjust_brightness, adjust_contrast, adjust_saturation, adjust_hue, rotate_images):
        adjust(images, torch.full((COUNT,), 0.4))
    assert torch.equal(images, before)


def test_fit_normalizes_each_channel() -> None:
    images = pictures()
    images[:, 1] //= 3

    outputs = ImageTransform.fit(images)(images, None).double()

    torch.testing.assert_close(outputs.mean((0, 2, 3)), torch.zeros(3, dtype=torch.float64), rtol=0, atol=1e-6)
    torch.testing.assert_close(outputs.std((0, 2, 3), correction=0), torch.ones(3, dtype=torch.float64))


def test_constant_images_become_zero() -> None:
    images = torch.full((2, 1, 4, 4), 99, dtype=torch.uint8)
    assert torch.equal(ImageTransform.fit(images)(images, None), torch.zeros(2, 1, 4, 4))


def test_rgb_repeats_gray() -> None:
    images = pictures(1)
    plain, repeated = ImageTransform.fit(images), ImageTransform.fit(images, rgb=True)

    outputs = repeated(images, None)

    assert outputs.shape == (COUNT, *repeated.output_shape((1, 9, 12))) == (COUNT, 3, 9, 12)
    assert plain.output_shape((1, 9, 12)) == (1, 9, 12)
    for channel in outputs.unbind(1):
        assert torch.equal(channel, plain(images, None)[:, 0])


def test_augments_only_with_an_active_option() -> None:
    assert not ImageTransform.fit(pictures()).augments
    assert ImageTransform.fit(pictures(), augment=Augment(flip=True)).augments


def test_augmentation_is_a_function_of_images_and_generator() -> None:
    images = pictures()
    before = images.clone()
    transform = ImageTransform.fit(images, augment=ALL)

    first = transform(images, draw(1))

    assert first.dtype == torch.float32
    assert torch.equal(first, transform(images, draw(1)))
    assert not torch.equal(first, transform(images, draw(2)))
    assert torch.equal(images, before)


@pytest.mark.parametrize(
    ("option", "value"),
    {
        "crop": 3,
        "flip": True,
        "rotation": 40,
        "brightness": 0.4,
        "contrast": 0.4,
        "saturation": 0.4,
        "hue": 0.2,
    }.items(),
)
def test_each_image_has_its_own_draw(option: str, value: float) -> None:
    same = pictures()[:1].expand(40, -1, -1, -1)
    outcomes = len(Augment(**{option: value})(same, draw(0)).unique(dim=0))
    assert outcomes == 2 if option == "flip" else outcomes > 20


def test_draws_keep_to_their_range() -> None:
    images = torch.full((2000, 1, 1, 1), 100, dtype=torch.uint8)
    factors = Augment(brightness=0.3)(images, draw(0)) / 100
    assert 0.7 <= factors.min() < 0.71
    assert 1.29 < factors.max() <= 1.3
    assert Augment(brightness=3.0)(images, draw(0)).min() < 1  # factors begin at 0, not below

    ramp = torch.arange(8, dtype=torch.uint8).expand(400, 1, 8, 8)
    mirrored = (Augment(flip=True)(ramp, draw(0))[:, 0, 0, 0] == 7).float().mean()
    assert mirrored == pytest.approx(0.5, abs=0.08)


def test_rotation_goes_either_way_equally_far() -> None:
    """By the angle of a spot at the right edge, which is above the center when it was turned counter-clockwise."""
    spot = torch.zeros(1000, 1, 15, 15, dtype=torch.uint8)
    spot[:, :, 6:9, 11:14] = 200
    axis = torch.arange(15) - 7.0

    turned = Augment(rotation=40)(spot, draw(0))[:, 0]  # (B, H, W)

    x, y = (turned.sum(1) * axis).sum(1), -(turned.sum(2) * axis).sum(1)
    angles = torch.atan2(y, x).rad2deg()
    assert -41 < angles.min() < -38
    assert 38 < angles.max() < 41
    assert (angles > 0).float().mean() == pytest.approx(0.5, abs=0.06)


def test_hue_turns_either_way_equally_far() -> None:
    """Red, with some green where it is turned one way and some blue where it is turned the other."""
    red = torch.tensor([200, 0, 0], dtype=torch.uint8).view(1, 3, 1, 1).expand(1000, -1, 1, 1)

    _, green, blue = Augment(hue=0.1)(red, draw(0)).flatten(1).unbind(1)

    turns = (green - blue) / 200 / 6  # of the color circle: it is a sixth from red to yellow, where green is as bright
    assert -0.1 < turns.min() < -0.095
    assert 0.095 < turns.max() < 0.1
    assert (turns > 0).float().mean() == pytest.approx(0.5, abs=0.06)


def test_crop_reaches_every_offset_equally() -> None:
    dot = torch.zeros(3000, 1, 7, 7, dtype=torch.uint8)
    dot[:, :, 3, 3] = 1

    places = Augment(crop=1)(dot, draw(0)).mean((0, 1))

    expected = torch.zeros(7, 7)
    expected[2:5, 2:5] = 1 / 9
    torch.testing.assert_close(places, expected, rtol=0, atol=0.03)


def test_cutout_is_torchvisions_erase() -> None:
    images = pictures().float()
    y, x = torch.tensor([2, 4, 3, 6, 5, 2]), torch.tensor([2, 3, 9, 10, 4, 5])
    corners = (y - 2).tolist(), (x - 2).tolist()
    erased = reference("erase", images.clone(), *corners, h=4, w=4, v=torch.zeros(3, 1, 1))
    assert torch.equal(cut_out(images.clone(), y, x, 4), erased)


def test_cutout_gives_each_pixel_the_mean_color_as_often_as_squares_around_pixels_reach_it() -> None:
    images = pictures(height=7, width=7)[:1].expand(5000, -1, -1, -1)
    transform = ImageTransform.fit(images, augment=Augment(cutout=3))
    share = (transform(images, draw(0)) == 0).all(1).float().mean(0)  # (H, W)
    along = (
        torch.tensor([2, 3, 3, 3, 3, 3, 2]) / 7
    )  # of 7 rows, how many have a square around them that reaches this one
    torch.testing.assert_close(share, along[:, None] * along, rtol=0, atol=0.03)
    assert transform.moments == ImageTransform.fit(images).moments


def test_gray_is_augmented_like_its_color_copy() -> None:
    """Working on one channel before it is repeated must not show."""
    gray = pictures(1)
    options = Augment(rotation=20, brightness=0.3, contrast=0.3, saturation=0.3, hue=0.1)
    repeated = options(gray.expand(-1, 3, -1, -1), draw(3))
    torch.testing.assert_close(options(gray, draw(3)).expand_as(repeated), repeated, rtol=0, atol=0.1)


def test_mnist_moments_are_the_published_ones(real_data) -> None:
    from dlcourse.data.mnist import MNIST

    transform = ImageTransform.fit(MNIST(root=str(real_data)).load().train_inputs)

    assert 1 / transform.scale.item() / WHITE == pytest.approx(0.3081, abs=0.0001)
    assert -transform.shift.item() / transform.scale.item() / WHITE == pytest.approx(0.1307, abs=0.0001)
