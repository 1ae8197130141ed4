"""Pictures as data with a `draw()`: what a report hands on, tests compare as numbers, and the logger turns into pixels.

Fields take numpy arrays, lists or detached CPU tensors. K is a number of classes, N of examples, G of grid points along
one axis; images are `(n, channels, height, width)`. matplotlib is imported at the first drawing, its pyplot never.
"""

from dlcourse.plots.answers import AnsweredImages
from dlcourse.plots.attention import AccuracyByLength, AttentionMap
from dlcourse.plots.calibration import ReliabilityDiagram
from dlcourse.plots.classes import ConfusionMatrix, DecisionBoundary
from dlcourse.plots.collage import Collage
from dlcourse.plots.curves import FittedCurve, LearningCurve, PredictedVsTrue
from dlcourse.plots.descent import Descent
from dlcourse.plots.diffusion import PointStrip
from dlcourse.plots.excerpts import Excerpts
from dlcourse.plots.filters import ActivationMaps, FirstFilters
from dlcourse.plots.games import BoardValues, GameTrace, GridWalk, GridWalks
from dlcourse.plots.graph import ComputationGraph, Listing, Node
from dlcourse.plots.image_rows import ImageRow, ImageRows
from dlcourse.plots.images import ImageGrid, WeightImages
from dlcourse.plots.language import LossByPosition
from dlcourse.plots.latent import ImageSheet, KLPerDimension, LatentScatter
from dlcourse.plots.lines import BarChart, LineChart, LineCharts
from dlcourse.plots.lr_range import LrRangeCurve
from dlcourse.plots.network import NetworkDiagram, Stage
from dlcourse.plots.panels import BarPanel, BowlPanel, FitPanel, Panels, RegionPanel
from dlcourse.plots.picture import Captioned, Picture, save_png, to_image, to_png
from dlcourse.plots.ranking import RankedClass, RankingCurves
from dlcourse.plots.samples import SampledPoints
from dlcourse.plots.search import OptionImportances, SearchHistory
from dlcourse.plots.sequences import Forecast
from dlcourse.plots.shifts import ShiftedAnswers
from dlcourse.plots.small_network import SmallNetwork
from dlcourse.plots.surfaces import Surface, Surfaces
from dlcourse.plots.sweep import OptionSlices, ParallelOptions, SweepCurves
from dlcourse.plots.words import WordMap

__all__ = [
    "AccuracyByLength",
    "ActivationMaps",
    "AnsweredImages",
    "AttentionMap",
    "BarChart",
    "BarPanel",
    "BoardValues",
    "BowlPanel",
    "Captioned",
    "Collage",
    "ComputationGraph",
    "ConfusionMatrix",
    "DecisionBoundary",
    "Descent",
    "Excerpts",
    "FirstFilters",
    "FitPanel",
    "FittedCurve",
    "Forecast",
    "GameTrace",
    "GridWalk",
    "GridWalks",
    "ImageGrid",
    "ImageRow",
    "ImageRows",
    "ImageSheet",
    "KLPerDimension",
    "LatentScatter",
    "LearningCurve",
    "LineChart",
    "LineCharts",
    "Listing",
    "LossByPosition",
    "LrRangeCurve",
    "NetworkDiagram",
    "Node",
    "OptionImportances",
    "OptionSlices",
    "Panels",
    "ParallelOptions",
    "Picture",
    "PointStrip",
    "PredictedVsTrue",
    "RankedClass",
    "RankingCurves",
    "RegionPanel",
    "ReliabilityDiagram",
    "SampledPoints",
    "SearchHistory",
    "ShiftedAnswers",
    "SmallNetwork",
    "Stage",
    "Surface",
    "Surfaces",
    "SweepCurves",
    "WeightImages",
    "WordMap",
    "save_png",
    "to_image",
    "to_png",
]
