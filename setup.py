"""Package data that pyproject.toml cannot hold plainly: extras, and the voices of checkpoints/ inside the wheel."""

from __future__ import annotations

import platform
import re
from pathlib import Path

from setuptools import Extension, find_packages, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_ext import build_ext

ROOT = Path(__file__).parent
VERSION = re.search(r'^__version__ = "(.+)"$', (ROOT / "spear_accel/__init__.py").read_text(), re.MULTILINE)
assert VERSION is not None

# torch and torchaudio must come from one release; without the upper bound pip picks two that do not import together.
# The pairs 2.9.1 + 2.9.1 and 2.11 + 2.11 are tested.
BASE = [
    "torch>=2.9.1,<2.12",
    "torchaudio>=2.9.1,<2.12",
    "numpy>=1.26",
    "einops>=0.8",
    "sentencepiece>=0.2",
    "soundfile>=0.13",
    "soxr>=0.4",
    "safetensors>=0.5",
    "num2words>=0.5.14",
    "pydantic>=2.12",
    "rich>=13.0",
    "tqdm>=4.66",
    "typer>=0.15",
]
# fairseq2's native part is built against exactly this torch.
FAIRSEQ2 = ["fairseq2==0.8.1", "torch==2.9.1", "torchaudio==2.9.1"]
TRAIN = [
    "accelerate>=1.0",
    "matplotlib>=3.8",
    "optuna>=4.0",
    "pyyaml>=6.0",
    "scikit-learn>=1.4",
    "tensorboard>=2.16",
    "wandb>=0.19",
]
EVAL = ["pesq>=0.0.4", "pocketsphinx>=5.0", "whisper-normalizer>=0.1.10"]
# Judges of the shipped voice (recipes/kathleen/evaluate.py). Later releases of moonshine-voice lack the weights.
JUDGES = [
    "distillmos>=0.9",
    "faster-whisper>=1.1",
    "moonshine-voice==0.0.49",
    "onnxruntime>=1.17",
    "resemblyzer>=0.1.4",
    "speechmos>=0.0.1.1",
]
HUB = ["huggingface_hub>=0.30"]
# Text tokenizers of imported models of Hugging Face transformers.
HUGGING_FACE = ["tokenizers>=0.20"]
# uvicorn takes websockets by name.
SERVE = ["fastapi>=0.115", "prometheus_client>=0.20", "uvicorn>=0.30", "websockets>=12"]
WYOMING = [*SERVE, "wyoming>=1.10.2"]
# What `bench --peers` measures beside this package.
PEERS = ["ctranslate2>=4.5", "transformers>=4.50"]
LHOTSE = ["lhotse>=1.24"]
PARQUET = ["pyarrow>=15", "pyyaml>=6.0"]
RAY = ["ray[data]>=2.40"]
# Other packages that read what `synth` writes. From version 4 on, datasets needs torchcodec and FFmpeg's libraries.
READERS = ["datasets>=3.0,<4", "webdataset>=1.0", *PARQUET, *LHOTSE, *RAY]
CHECKS = [
    "av>=12",
    "httpx>=0.27",
    "hypothesis>=6.100",
    "mypy>=1.13",
    "openai>=1.60",
    "praatio>=6.0",
    "pre-commit>=4.0",
    "pyloudnorm>=0.1.1",
    "pysubs2>=1.7",
    "pytest>=8.0",
    "pytest-xdist>=3.6",
    "ruff>=0.8",
    "scipy>=1.11",
    "selenium>=4.20",
    "types-PyYAML",
]
DEV = [*CHECKS, *READERS, *FAIRSEQ2, *TRAIN, *EVAL, *HUB, *HUGGING_FACE, *WYOMING, *PEERS]

# A voice lies in checkpoints/NAME of a checkout and in spear_accel/voices/NAME of an installed package.
NAMES = sorted(card.parent.name for card in (ROOT / "checkpoints").glob("*/voice.json"))
VOICES = {f"spear_accel.voices.{name}": f"checkpoints/{name}" for name in NAMES}

# The native step: one source, built once for each set of instructions and chosen when it runs. Without a compiler the
# package installs all the same, and PyTorch does the work.
NATIVE = "spear_accel/native/csrc"
SOURCES = ("step", "encode", "recurrent", "draw", "pack")
HEADERS = ("step", "arena", "attention", "bytes", "linear", "parts", "pool", "simd", "stack")
# Contraction is off because the compiler would decide on it case by case, and equal sums would differ by bits.
FLAGS = ["-std=c++17", "-O3", "-g0", "-w", "-ffp-contract=off", "-fvisibility=hidden", "-pthread"]
INSTRUCTIONS: dict[str, list[str]] = {"portable": []}
if platform.machine().lower() in ("x86_64", "amd64"):
    INSTRUCTIONS["avx2"] = ["-mavx2", "-mfma"]
    INSTRUCTIONS["avx512"] = ["-mavx2", "-mfma", "-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl"]
    INSTRUCTIONS["avx512vnni"] = [*INSTRUCTIONS["avx512"], "-mavx512vnni"]
KERNELS = [
    Extension(
        f"spear_accel.native._{name}",
        [f"{NATIVE}/{source}.cpp" for source in SOURCES],
        depends=[f"{NATIVE}/{header}.h" for header in HEADERS],
        extra_compile_args=[*FLAGS, *instructions],
        extra_link_args=["-pthread"],
        optional=True,
    )
    for name, instructions in INSTRUCTIONS.items()
]


class BuildKernels(build_ext):
    """Plain libraries: nothing in them is Python's, so their names tell no version of it."""

    def get_ext_filename(self, ext_name: str) -> str:
        return f"{ext_name.replace('.', '/')}.so"


class Wheel(bdist_wheel):
    """One wheel for every Python of a platform."""

    def get_tag(self) -> tuple[str, str, str]:
        return "py3", "none", super().get_tag()[2]


setup(
    name="spear-accel",
    version=VERSION[1],
    description="Fast text-to-semantic speech synthesis: a Spear-TTS voice with speculative decoding",
    long_description=(ROOT / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    author="spear-accel contributors",
    license="MIT",
    python_requires=">=3.10",
    packages=[*find_packages(include=["spear_accel", "spear_accel.*"]), *VOICES],
    package_dir=VOICES,
    ext_modules=KERNELS,
    cmdclass={"build_ext": BuildKernels, "bdist_wheel": Wheel},
    package_data={
        "spear_accel": ["py.typed", "native/csrc/*", "text/english/tables/*.tsv", "server/page/*"],
        **{package: ["*", "**/*"] for package in VOICES},
    },
    zip_safe=False,
    install_requires=BASE,
    extras_require={
        "fairseq2": FAIRSEQ2,
        "train": TRAIN,
        "ray": RAY,
        "eval": EVAL,
        "judges": JUDGES,
        "hub": HUB,
        "hugging-face": HUGGING_FACE,
        "serve": SERVE,
        "wyoming": WYOMING,
        "peers": PEERS,
        "lhotse": LHOTSE,
        "parquet": PARQUET,
        "dev": DEV,
    },
    entry_points={"console_scripts": ["spear-accel = spear_accel.cli.main:run"]},
    classifiers=[
        "License :: OSI Approved :: MIT License",
        "Programming Language :: Python :: 3",
        "Topic :: Multimedia :: Sound/Audio :: Speech",
    ],
)
