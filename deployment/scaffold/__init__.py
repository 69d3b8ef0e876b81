"""The minimal folder of a second model: files with `${name}` for what differs, and what fills them, read off a table."""

from deployment.scaffold.files import model_files
from deployment.scaffold.sketch import Sketch, sketch_of_file, sketch_without_file

__all__ = ["Sketch", "model_files", "sketch_of_file", "sketch_without_file"]
