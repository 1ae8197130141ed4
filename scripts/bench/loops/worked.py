"""The style of the lectures' script: PIL transforms for each sample, a DataLoader, Adam as it comes."""

import torch

from bench import nets
from bench.contests import NETS, Figures, Work
from bench.loops.per_sample import loader
from bench.loops.timing import Timing


def run(work: Work) -> Figures:
    """Train."""
    model, batches = nets.build(work.net), loader(work)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, weight_decay=NETS[work.net].weight_decay)
    criterion, timing = nets.criterion(work.net), Timing()
    model.train()
    for _ in range(work.epochs):
        timing.begin_epoch()
        running_loss = 0.0
        for inputs, targets in batches:
            optimizer.zero_grad()
            loss = criterion(model(inputs), targets)
            loss.backward()
            optimizer.step()
            running_loss += loss.item()
            timing.after_step()
        timing.end_epoch()
    return Figures(nets.parameters(model), timing.speed(work.size), timing.first_step_at)
