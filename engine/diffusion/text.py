"""The text encoders: CLIP ViT-L (SD 1.x) and OpenCLIP ViT-H (SD 2.x), and a prompt's way through them.

The tokenizer is built from the vocabulary that lies in `data/`. What both compute is transformers' `CLIPTextModel` and
`CLIPTokenizer`, which the tests compare them with.
"""

import gzip
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from threading import Lock, Thread

import torch
from tokenizers import AddedToken, Regex, normalizers, pre_tokenizers
from tokenizers import Tokenizer as BytePairs
from tokenizers.models import BPE
from torch import Tensor, nn

from engine.diffusion.clip import Layers
from engine.diffusion.config import TextConfig
from engine.diffusion.prompt import Chunk, EmbeddingLookup, chunks, empty_chunk, token_groups

VOCABULARY = Path(__file__).parent / "data" / "bpe_simple_vocab_16e6.txt.gz"
START, END = "<|startoftext|>", "<|endoftext|>"
MERGES = 49_152 - 256 - 2  # of the file's 262,145 merges CLIP uses these
WORDS = (  # what is joined to tokens: CLIP's own pattern
    r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
)


@dataclass(frozen=True, eq=False)
class TextEncoding:
    """What a prompt became: states (1, 77·chunks, width) and pooled (1, width), float32 on the CPU."""

    states: Tensor
    pooled: Tensor


class Embeddings(nn.Module):
    """What a token is, and where."""

    def __init__(self, config: TextConfig) -> None:
        super().__init__()
        self.token_embedding = nn.Embedding(config.vocab_size, config.width)
        self.position_embedding = nn.Embedding(config.max_length, config.width)


class Transformer(nn.Module):
    """The tower: embeddings, blocks, the final norm."""

    def __init__(self, config: TextConfig) -> None:
        super().__init__()
        self.embeddings = Embeddings(config)
        self.encoder = Layers(
            config.layers - config.absent_layers, config.width, config.heads, config.mlp_width, config.activation,
            config.norm_eps, causal=True,
        )
        self.final_layer_norm = nn.LayerNorm(config.width, eps=config.norm_eps)

    def forward(self, x: Tensor, used: int) -> tuple[Tensor, Tensor]:
        """Embedded tokens (batch, length, width) to what so many layers, and all of them, make of them, normed."""
        x = x + self.embeddings.position_embedding.weight[: x.shape[1]]
        wanted = x
        for number, layer in enumerate(self.encoder.layers, start=1):
            x = layer(x)
            wanted = x if number == used else wanted
        last: Tensor = self.final_layer_norm(x)
        return last if wanted is x else self.final_layer_norm(wanted), last


class TextEncoder(nn.Module):
    """CLIP's text tower with every layer, and the projection of its pooled output where the family has one."""

    def __init__(self, config: TextConfig) -> None:
        super().__init__()
        self.config = config
        self.transformer = Transformer(config)
        self.text_projection = nn.Linear(config.width, config.width, bias=False) if config.project_pooled else None

    def forward(self, batch: Sequence[Chunk], clip_skip: int) -> tuple[Tensor, Tensor]:
        """Chunks to states (chunks, length, width), float32, and the pooled output (chunks, width).

        clip_skip: 1 takes the last layer's output, 2 the one before; more than there are layers counts as 1.
        The final norm follows in every case; the pooled output is always the last layer's that there is.
        Raises ValueError for a layer that the file left out.
        """
        layers, last = self.config.layers, self.config.layers - self.config.absent_layers
        used = layers - clip_skip + 1 if clip_skip <= layers else layers
        if used > last:
            raise ValueError(
                f"this text encoder's file holds {last} of {layers} layers, so layer -{clip_skip} cannot be read; "
                f"choose -{layers - last + 1} or an earlier one, or load a file with all layers"
            )
        ids, rows = self._ids(batch)
        x = self.transformer.embeddings.token_embedding(ids)
        for index, position, row in rows:
            x[index, position] = row.to(x.device, x.dtype)
        states, out = self.transformer(x, used)
        ends = torch.tensor([_first(chunk, self.config.end_id) for chunk in batch], device=ids.device)
        pooled = out[torch.arange(len(batch), device=ids.device), ends]
        if self.text_projection is not None:
            pooled = self.text_projection(pooled)
        return states.float(), pooled.float()

    def _ids(self, batch: Sequence[Chunk]) -> tuple[Tensor, list[tuple[int, int, Tensor]]]:
        """Token ids (chunks, length), and the embedding rows to put in their places."""
        ids: list[list[int]] = []
        rows: list[tuple[int, int, Tensor]] = []
        for index, chunk in enumerate(batch):
            line: list[int] = []
            for token, _ in chunk:
                if isinstance(token, int):
                    line.append(token)
                elif token.shape[-1] == self.config.width:
                    rows.append((index, len(line), token))
                    line.append(self.config.pad_id)
                # a row made for another model is left out, as in ComfyUI, and a pad token makes up for it at the end
            ids.append(line + [self.config.pad_id] * (len(chunk) - len(line)))
        return torch.tensor(ids, device=self.transformer.embeddings.token_embedding.weight.device), rows


def _first(chunk: Chunk, token_id: int) -> int:
    return next(index for index, (token, _) in enumerate(chunk) if isinstance(token, int) and token == token_id)


class Tokenizer:
    """CLIP's byte-pair encoding: text to ids without start and end.

    >>> tokenizer().ids("a photo of an astronaut")
    [320, 1125, 539, 550, 18376]
    """

    def __init__(self, vocabulary: Path = VOCABULARY) -> None:
        with gzip.open(vocabulary, "rt", encoding="utf-8") as file:
            lines = file.read().split("\n")[1 : MERGES + 1]  # the first line is a version
        merges = [(pair[0], pair[1]) for pair in (line.split() for line in lines)]
        letters = list(_byte_letters().values())
        tokens = [*letters, *(letter + "</w>" for letter in letters), *("".join(pair) for pair in merges), START, END]
        self._tokenizer = BytePairs(BPE(
            vocab={token: index for index, token in enumerate(tokens)}, merges=merges, unk_token=END,
            continuing_subword_prefix="", end_of_word_suffix="</w>", fuse_unk=False,
        ))
        self._tokenizer.normalizer = normalizers.Sequence([
            normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()
        ])
        self._tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
            pre_tokenizers.Split(Regex(WORDS), behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ])
        self._tokenizer.add_special_tokens([AddedToken(mark, normalized=False, special=True) for mark in (START, END)])

    def ids(self, text: str) -> list[int]:
        """Token ids of a text, not truncated, without start and end."""
        return list(self._tokenizer.encode(text, add_special_tokens=False).ids)


def tokenizer() -> Tokenizer:
    """The one tokenizer all SD 1.x and 2.x share; built on first use."""
    with _building:
        return _tokenizer()


def prepare_tokenizer() -> None:
    """Build the tokenizer beside what is done meanwhile, if it is not there: it takes 0.15 s."""
    if not _tokenizer.cache_info().currsize:
        Thread(target=tokenizer, name="tokenizer", daemon=True).start()


_building = Lock()


@lru_cache(maxsize=1)
def _tokenizer() -> Tokenizer:
    return Tokenizer()


def _byte_letters() -> dict[int, str]:
    """CLIP writes every byte as one printable character: printable ones as themselves, the rest from U+0100 on."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = [byte for byte in range(256) if byte not in set(printable)]
    return {byte: chr(byte) for byte in printable} | {byte: chr(256 + index) for index, byte in enumerate(rest)}


def encode(
    model: TextEncoder,
    words: Tokenizer,
    text: str,
    config: TextConfig,
    clip_skip: int | None = None,
    embedding_lookup: EmbeddingLookup | None = None,
) -> TextEncoding:
    """Encode a prompt with its weights, in as many chunks as it needs (numerics.md, 6.5).

    clip_skip: None takes the family's own layer. Each weighted token's state moves away from the state an empty prompt
    has at that place, in proportion to its weight.
    """
    return encode_chunks(model, chunks(token_groups(text, words.ids, embedding_lookup), config), config, clip_skip)


def encode_chunks(
    model: TextEncoder, batch: Sequence[Chunk], config: TextConfig, clip_skip: int | None = None
) -> TextEncoding:
    """Encode chunks that are already laid out: see `encode`."""
    weighted = any(weight != 1.0 for chunk in batch for _, weight in chunk)
    everything = [*batch, empty_chunk(config)] if weighted else list(batch)
    with torch.no_grad():
        states, pooled = model(everything, clip_skip if clip_skip is not None else config.clip_skip)
    states = states.cpu()
    if weighted:
        empty = states[-1]  # (length, width)
        weights = torch.tensor([[weight for _, weight in chunk] for chunk in batch])[:, :, None]
        plain = states[:-1]
        states = torch.where(weights == 1.0, plain, (plain - empty) * weights + empty)
    return TextEncoding(states.reshape(1, -1, states.shape[-1]), pooled[:1].cpu())
