"""The editor's saved file, in both of its versions, ⇄ the API form, with nothing lost.

``read_editor`` and ``write_editor`` convert; ``load_document`` and ``dump_document`` keep the whole file;
``apply_to_document`` writes changed values back into it; ``convert`` does what the command line asks for.
"""

from engine.graph.editor_format.convert import Conversion, choose_text, convert
from engine.graph.editor_format.document import Document, DocumentLink, dump_document, load_document
from engine.graph.editor_format.read import Converted, read_editor
from engine.graph.editor_format.update import apply_to_document
from engine.graph.editor_format.write import write_editor

__all__ = [
    "Conversion", "Converted", "Document", "DocumentLink", "apply_to_document", "choose_text", "convert",
    "dump_document", "load_document", "read_editor", "write_editor",
]
