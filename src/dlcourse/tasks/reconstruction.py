"""The reconstruction task: an autoencoder's squared error, and what its codes and reconstructions look like.

N is a number of examples, B a batch size, D the numbers of one example.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from dlcourse.device import Device
from dlcourse.errors import ConfigError
from dlcourse.metrics.report import Report
from dlcourse.models.autoencoder import Autoencoder
from dlcourse.spec import Batch, Data, DataSpec, Split
from dlcourse.tasks.answers import Answer, reconstructions
from dlcourse.tasks.latent_codes import PAIRS, View, code_picture, pair_picture
from dlcourse.tasks.task import LossTask, Scalars


class Reconstruction(LossTask):
    """An autoencoder: the squared error of a pixel in [0, 1], or of a table's number at mean 0 and deviation 1.

    `explained` is the share of the variance of all numbers that reconstructions keep.
    """

    main_metric = "explained"
    monitor = "loss"
    mode = "min"
    model: Autoencoder

    def __init__(self, model: nn.Module, spec: DataSpec, device: Device) -> None:
        if not isinstance(model, Autoencoder):
            raise ConfigError("task 'reconstruction' needs an autoencoder; write model=autoencoder")
        super().__init__(model, spec, device)
        self._view = View(model, spec, device)

    def prepare(self, data: Data) -> list[str]:
        self._view.fit(data.train)
        return []

    def losses(self, batch: Batch) -> Scalars:
        seen = self._view(batch.inputs)
        return {"loss": functional.mse_loss(self.model(seen).float(), seen)}

    def answer(self, inputs: Tensor) -> list[Answer]:
        """The squared error of each input's reconstruction, and of images the reconstruction."""
        seen = self._view(inputs)
        with self.device.autocast():
            outputs = self.model(seen).float()
        return reconstructions(seen, outputs)

    def evaluate(self, split: Split, batch_size: int, *, full: bool = False) -> Report:
        error, count = 0.0, 0
        sums = torch.zeros(2, self.spec.num_features, dtype=torch.float64)  # of numbers and of their squares
        codes, targets = [], []
        for batch in split.batches(batch_size):
            seen = self._view(batch.inputs)
            with self.device.autocast():
                code = self.model.encode(seen)
                outputs = self.model.decode(code).float()
            error += float((outputs - seen).square().sum(dtype=torch.float64))
            count += len(seen)
            flat = seen.flatten(1).cpu()
            sums += torch.stack([flat.sum(0, dtype=torch.float64), flat.square().sum(0, dtype=torch.float64)])
            codes.append(code.float().cpu())
            targets.append(batch.targets.cpu())
        variation = float((sums[1] - sums[0].square() / count).sum())
        scalars = {
            "loss": error / (count * self.spec.num_features),
            "explained": 1 - error / variation if variation > 0 else 0.0,
        }
        report = Report(scalars)
        if self.spec.is_image:
            originals = self._view(next(iter(split.batches(PAIRS))).inputs)
            report.pictures["reconstructions"] = pair_picture(originals.cpu(), self.model(originals).float().cpu())
        if full:
            report.headline = (
                f"MSE {scalars['loss']:.4g}   {100 * scalars['explained']:.1f} % of the variance explained"
            )
            scatter = code_picture(torch.cat(codes), torch.cat(targets), self.spec)
            if scatter is not None:
                report.pictures["codes"] = scatter
        return report
