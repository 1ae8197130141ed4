"""What image data sets that lie in files share: the options that say where the files are and how they are treated."""

from dataclasses import dataclass
from pathlib import Path

from dlcourse.data.download import default_root
from dlcourse.data.source import ImageSource
from dlcourse.errors import DataError
from dlcourse.options import user_path


@dataclass(frozen=True, kw_only=True)
class ImageFiles(ImageSource):
    """A data set of images in files.

    `root` is the folder of data files, null for `$DLCOURSE_DATA` or else `~/.cache/dlcourse`. Missing files are
    downloaded where `download` allows; files with published checksums must match them unless `verify` is false.
    """

    root: str | None = None
    download: bool = True
    verify: bool = True

    @property
    def root_folder(self) -> Path:
        """The root folder, `~` expanded."""
        return default_root() if self.root is None else user_path(self.root, "data.root")

    def require_download(self, missing: str, folder: Path) -> None:
        """Raise DataError, naming the missing file and its folder, unless downloading is allowed."""
        if not self.download:
            raise DataError(
                f"{missing} is not in {folder}; type data.root=FOLDER for the folder that holds it, "
                "or data.download=true"
            )


def lies_there(path: Path) -> bool:
    """Whether the folder has an entry of that name, a broken link included: it is to be reported, not written over."""
    return path.is_symlink() or path.exists()
