"""The models of this machine in one place: list them, add them, find the file of one."""

from faceset.packs.adding import import_model, pull
from faceset.packs.download import DownloadProgress
from faceset.packs.inventory import ModelInfo, info, list_models, models_dir, resolve

__all__ = ["DownloadProgress", "ModelInfo", "import_model", "info", "list_models", "models_dir", "pull", "resolve"]
