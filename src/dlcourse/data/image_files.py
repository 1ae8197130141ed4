"""What image data sets that lie in files share: the options of files and those of images."""

from dataclasses import dataclass

from dlcourse.data.dataset import ImageSource
from dlcourse.data.download import DataFiles


@dataclass(frozen=True, kw_only=True)
class ImageFiles(DataFiles, ImageSource):
    """A data set of images in files."""
