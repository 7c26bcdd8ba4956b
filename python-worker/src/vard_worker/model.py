"""A pretrained pipeline with a LoRA on its denoising network, and the few things that the algorithms ask of it."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from diffusers import DDIMScheduler, DDPMPipeline, DDPMScheduler, StableDiffusionPipeline
from peft import LoraConfig, get_peft_model_state_dict, inject_adapter_in_model
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import Tensor, nn

from vard.v1 import worker_pb2 as pb
from vard_worker.adapter_targets import check_adapter_targets
from vard_worker.diffusion import Transitions, transitions
from vard_worker.finite import demand_finite

ADAPTER = "default"
VAE_CURE = (
    "some VAEs overflow when they are saved in, or run as, fp16: use model.dtype float32, and a checkpoint whose vae was "
    "saved in float32 or made for fp16"
)


@dataclass(frozen=True)
class Condition:
    """A batch of encoded prompts, (B, L, D), and the empty prompt's encoding for guidance, or None without guidance."""

    prompts_BLD: Tensor
    empty_BLD: Tensor | None


class DiffusionModel(ABC):
    """What a session needs of a pipeline, whichever it is.

    ``pipeline`` is in eval mode with every weight frozen but the adapter's. ``fresh_unet`` reads the pretrained denoising
    network from the checkpoint once more, without an adapter.
    """

    def __init__(
        self,
        pipeline: StableDiffusionPipeline | DDPMPipeline,
        guidance: float,
        dtype: torch.dtype,
        eta: float,
        fresh_unet: Callable[[], nn.Module],
    ) -> None:
        self.pipeline = pipeline
        self.configurations: dict[str, str] = {}
        """SHA-256 of each file of the checkpoint that says what its weights mean, by its path."""
        self.fresh_unet = fresh_unet
        self.unet: nn.Module = pipeline.unet
        self.scheduler: DDIMScheduler | DDPMScheduler = pipeline.scheduler
        self.guidance = guidance
        self.device: torch.device = self.unet.device
        self.dtype = dtype
        self.eta = eta
        size = self.unet.config.sample_size
        height, width = (size, size) if isinstance(size, int) else size
        self.latent_shape: tuple[int, int, int] = (self.unet.config.in_channels, height, width)
        self.transitions: Transitions = transitions(self.scheduler, eta, self.device)
        self._encode_one = lru_cache(maxsize=1024)(lambda prompt: self.encode([prompt]))

    @property
    @abstractmethod
    def condition_width(self) -> int | None:
        """Width D of an encoded prompt's tokens, or None for an unconditional model."""

    @property
    @abstractmethod
    def image_shape(self) -> tuple[int, int, int]:
        """Height, width, 3."""

    @abstractmethod
    def encode(self, prompts: list[str]) -> Condition | None:
        """Encodes prompts together, as a plain pipeline does, or gives None for an unconditional model."""

    def condition(self, prompts: list[str]) -> Condition | None:
        """Encodes prompts for training: each on its own and once, so that the bits do not depend on its company."""
        parts = [self._encode_one(prompt) for prompt in prompts]
        if parts[0] is None:
            return None
        empty = None if parts[0].empty_BLD is None else torch.cat([part.empty_BLD for part in parts])
        return Condition(torch.cat([part.prompts_BLD for part in parts]), empty)

    @abstractmethod
    def decode(self, x_BCHW: Tensor) -> np.ndarray:
        """Finished latents to RGB images, uint8, shape (B, height, width, 3)."""

    def autocast(self):
        if self.dtype == torch.float32:
            return nullcontext()
        return torch.autocast(self.device.type, dtype=self.dtype)

    def predict(self, x_BCHW: Tensor, t: Tensor, condition: Condition | None) -> Tensor:
        """The network's output at timestep ``t`` (a scalar, or (B,)), after guidance; of x's shape (B, C, H, W) and dtype."""
        with self.autocast():
            if condition is None:
                return self.unet(x_BCHW, t, return_dict=False)[0].to(x_BCHW.dtype)
            if condition.empty_BLD is None:
                return self.unet(x_BCHW, t, encoder_hidden_states=condition.prompts_BLD, return_dict=False)[0].to(x_BCHW.dtype)
            output = self.unet(
                torch.cat([x_BCHW, x_BCHW]),
                t if t.ndim == 0 else torch.cat([t, t]),
                encoder_hidden_states=torch.cat([condition.empty_BLD, condition.prompts_BLD]),
                return_dict=False,
            )[0].to(x_BCHW.dtype)
        without, with_prompt = output.chunk(2)
        return without + self.guidance * (with_prompt - without)

    def step(self, output_BCHW: Tensor, t: Tensor, x_BCHW: Tensor, generators: list[torch.Generator]) -> Tensor:
        """x_{t-1} by the scheduler's own step, so that a plain pipeline draws the same images to the bit."""
        extra = {"eta": self.eta} if isinstance(self.scheduler, DDIMScheduler) else {}
        return self.scheduler.step(output_BCHW, t, x_BCHW, generator=generators, return_dict=False, **extra)[0]

    def new_scheduler(self) -> DDIMScheduler | DDPMScheduler:
        """One like the session's, whose timesteps are still to be set."""
        return type(self.scheduler).from_config(self.scheduler.config)

    # ------------------------------------------------------------------------------------------------ adapter

    def add_adapter(self, config: pb.AdapterConfig, seed: int) -> None:
        """Puts a LoRA on the denoising network. It starts as no change at all: B is zero."""
        check_adapter_targets(self.unet, config.targets)
        lora = LoraConfig(r=config.rank, lora_alpha=config.alpha, target_modules=sorted(config.targets))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            inject_adapter_in_model(lora, self.unet, ADAPTER)
        if not hasattr(self.unet, "peft_config"):
            self.unet.peft_config = {ADAPTER: lora}
        for name, parameter in self.unet.named_parameters():
            trained = "lora_" in name
            parameter.requires_grad_(trained)
            if trained:
                # An optimiser's small steps would vanish in bfloat16.
                parameter.data = parameter.data.float()

    def adapter_layers(self) -> dict[str, BaseTunerLayer]:
        """The modules that the adapter changes, by their names in the denoising network."""
        return {name: module for name, module in self.unet.named_modules() if isinstance(module, BaseTunerLayer)}

    def adapter_is_at_start(self) -> bool:
        """Whether every B is still zero, and the policy the pretrained model."""
        moved = [layer.lora_B[ADAPTER].weight.any() for layer in self.adapter_layers().values()]
        return bool(moved) and not torch.stack(moved).any()

    def adapter_weights(self) -> dict[str, nn.Parameter]:
        return {name: parameter for name, parameter in self.unet.named_parameters() if parameter.requires_grad}

    def adapter_parameters(self) -> list[nn.Parameter]:
        return [parameter for parameter in self.unet.parameters() if parameter.requires_grad]

    @contextmanager
    def reference(self) -> Iterator[None]:
        """The pretrained model: the same weights, the adapter switched off."""
        layers = self.adapter_layers().values()
        for layer in layers:
            layer.enable_adapters(False)
        try:
            yield
        finally:
            for layer in layers:
                layer.enable_adapters(True)

    def encoder(self) -> tuple[Callable[[Tensor, Tensor, Tensor | None], Tensor], int]:
        """The frozen encoder half of the pretrained network, differentiable in x, and its output's channels."""

        class Reached(Exception):
            pass

        def stop(module: nn.Module, arguments: tuple, output: Tensor) -> None:
            raise Reached(output)

        def encode(x_BCHW: Tensor, t_B: Tensor, condition_BLD: Tensor | None) -> Tensor:
            extra = {} if condition_BLD is None else {"encoder_hidden_states": condition_BLD}
            # What comes after the middle block is not wanted, and not paid for.
            hook = self.unet.mid_block.register_forward_hook(stop)
            try:
                with self.reference(), self.autocast():
                    self.unet(x_BCHW, t_B, **extra)
            except Reached as reached:
                return reached.args[0]
            finally:
                hook.remove()
            raise AssertionError("the middle block was not reached")

        return encode, self.unet.config.block_out_channels[-1]

    def export(self, folder: Path) -> Path:
        """Writes ``pytorch_lora_weights.safetensors``, which diffusers' ``load_lora_weights`` reads."""
        metadata = self.unet.peft_config[ADAPTER].to_dict()
        # Without the metadata alpha is lost; and the order of a set would differ from process to process.
        metadata = {key: sorted(value) if isinstance(value, set) else value for key, value in metadata.items()}
        StableDiffusionPipeline.save_lora_weights(
            folder, unet_lora_layers=get_peft_model_state_dict(self.unet), unet_lora_adapter_metadata=metadata
        )
        file = folder / "pytorch_lora_weights.safetensors"
        sort_header(file)
        return file


class TextToImageModel(DiffusionModel):
    """A ``StableDiffusionPipeline``: a text encoder, a latent-space UNet and a VAE."""

    @property
    def condition_width(self) -> int:
        # What the UNet makes of it, by a projection of its own, may be wider.
        return self.pipeline.text_encoder.config.hidden_size

    @property
    def image_shape(self) -> tuple[int, int, int]:
        factor = self.pipeline.vae_scale_factor
        return self.latent_shape[1] * factor, self.latent_shape[2] * factor, 3

    @torch.no_grad()
    def encode(self, prompts: list[str]) -> Condition:
        guided = self.guidance > 1
        encoded, empty = self.pipeline.encode_prompt(prompts, self.device, 1, guided)
        demand_finite("the text encoder", [("a prompt's encoding", encoded)], "use float32, or a checkpoint whose text_encoder is whole")
        return Condition(encoded, empty if guided else None)

    @torch.no_grad()
    def decode(self, x_BCHW: Tensor) -> np.ndarray:
        vae = self.pipeline.vae
        images = vae.decode(x_BCHW.to(vae.dtype) / vae.config.scaling_factor, return_dict=False)[0]
        demand_finite("the VAE", [("a decoded image", images)], VAE_CURE)
        return to_uint8(self.pipeline.image_processor.postprocess(images, output_type="np"))


class UnconditionalModel(DiffusionModel):
    """A ``DDPMPipeline``: a UNet on pixels."""

    @property
    def condition_width(self) -> None:
        return None

    @property
    def image_shape(self) -> tuple[int, int, int]:
        return self.latent_shape[1], self.latent_shape[2], 3

    def encode(self, prompts: list[str]) -> None:
        return None

    @torch.no_grad()
    def decode(self, x_BCHW: Tensor) -> np.ndarray:
        demand_finite("sampling", [("an image", x_BCHW)], "use float32, or go back to an earlier checkpoint")
        images = (x_BCHW.float() / 2 + 0.5).clamp(0, 1).permute(0, 2, 3, 1).cpu().numpy()
        return np.repeat(to_uint8(images), 3 // images.shape[-1], axis=-1)


def sort_header(file: Path) -> None:
    """Puts a safetensors file's header in order. The library writes its metadata in one that differs from call to call,
    and equal weights are to make equal files.

    The format: an unsigned 64-bit little-endian length, that many bytes of JSON (padded by spaces), the tensors' bytes.
    """
    data = file.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    file.write_bytes(len(text).to_bytes(8, "little") + text + data[8 + length :])


def to_uint8(images_BHWC: np.ndarray) -> np.ndarray:
    """[0, 1] to 0..255, rounded as diffusers' ``numpy_to_pil`` rounds."""
    return np.ascontiguousarray((images_BHWC * 255).round().astype("uint8"))
