"""How much each method learns, at the widths of CLIP's ViT-B/16."""

import pytest
import torch

from promptgrid.contract.clip import Labelled, Task
from promptgrid.tracks.image.cards import shapes
from promptgrid.tracks.image.methods.adaptformer import AdaptFormer
from promptgrid.tracks.image.methods.amt import AMT
from promptgrid.tracks.image.methods.apt import APT
from promptgrid.tracks.image.methods.bitfit import BitFit
from promptgrid.tracks.image.methods.clap import CLAP
from promptgrid.tracks.image.methods.clip_adapter import ClipAdapter
from promptgrid.tracks.image.methods.clip_lora import ClipLora
from promptgrid.tracks.image.methods.cocoop import CoCoOp
from promptgrid.tracks.image.methods.cones import ConES
from promptgrid.tracks.image.methods.coop import CoOp
from promptgrid.tracks.image.methods.ctp_tft import CTPTFT
from promptgrid.tracks.image.methods.deep_language import DeepLanguage
from promptgrid.tracks.image.methods.diff_tpt import DiffTPT
from promptgrid.tracks.image.methods.dpl import DPL
from promptgrid.tracks.image.methods.dvpt import DVPT
from promptgrid.tracks.image.methods.fpl import FPL
from promptgrid.tracks.image.methods.gopro import GOPro
from promptgrid.tracks.image.methods.gram import GRAM
from promptgrid.tracks.image.methods.grip import GRIP
from promptgrid.tracks.image.methods.grip_multimodal import GRIPMultimodal
from promptgrid.tracks.image.methods.grip_visual import GRIPVisual
from promptgrid.tracks.image.methods.ifpl import IFPL
from promptgrid.tracks.image.methods.image_finetune import ImageFinetune
from promptgrid.tracks.image.methods.ivlp import IVLP
from promptgrid.tracks.image.methods.kapt import KAPT
from promptgrid.tracks.image.methods.kgcoop import KgCoOp
from promptgrid.tracks.image.methods.lafter import LaFTer
from promptgrid.tracks.image.methods.linear_probe import LinearProbe
from promptgrid.tracks.image.methods.ln_tuning import LNTuning
from promptgrid.tracks.image.methods.lp_plus_plus import LPPlusPlus
from promptgrid.tracks.image.methods.maple import MaPLe
from promptgrid.tracks.image.methods.mapped_head import MappedHead
from promptgrid.tracks.image.methods.mmt import MMT
from promptgrid.tracks.image.methods.mocoop import MoCoOp
from promptgrid.tracks.image.methods.nearest_mean import NearestMean
from promptgrid.tracks.image.methods.nola import NoLA
from promptgrid.tracks.image.methods.pmt import PMT
from promptgrid.tracks.image.methods.pouf import POUF
from promptgrid.tracks.image.methods.pre import PRE
from promptgrid.tracks.image.methods.prograd import ProGrad
from promptgrid.tracks.image.methods.prolip import ProLIP
from promptgrid.tracks.image.methods.prompt_align import PromptAlign
from promptgrid.tracks.image.methods.promptsrc import PromptSRC
from promptgrid.tracks.image.methods.pvp import PVP
from promptgrid.tracks.image.methods.pvp_head import PVPHead
from promptgrid.tracks.image.methods.r_amt import RAMT
from promptgrid.tracks.image.methods.restore import RESTORE
from promptgrid.tracks.image.methods.spg import SPG
from promptgrid.tracks.image.methods.taskres import TaskRes
from promptgrid.tracks.image.methods.tfup import TFUP
from promptgrid.tracks.image.methods.tfup_t import TFUPT
from promptgrid.tracks.image.methods.tip_adapter import TipAdapter
from promptgrid.tracks.image.methods.tip_adapter_f import TipAdapterF
from promptgrid.tracks.image.methods.tower_bitfit import TowerBitFit
from promptgrid.tracks.image.methods.tower_probe import TowerProbe
from promptgrid.tracks.image.methods.tpt import TPT
from promptgrid.tracks.image.methods.two_stage import TwoStage
from promptgrid.tracks.image.methods.upl import UPL
from promptgrid.tracks.image.methods.upt import UPT
from promptgrid.tracks.image.methods.vpt import VPT
from promptgrid.tracks.image.methods.zero_shot import ZeroShot

WIDTH = 128
UPT_COUNT = (
    (4 * 512 + 12 * 4 * 768)  # text tokens, visual tokens of 12 blocks
    + (512 * WIDTH + WIDTH)  # text in
    + (768 * WIDTH + WIDTH)  # vision in
    + (WIDTH * 512 + 512)  # text out
    + (WIDTH * 768 + 768)  # vision out
    + (3 * WIDTH * WIDTH + 3 * WIDTH)  # queries, keys, values
    + (WIDTH * WIDTH + WIDTH)  # attention out
    + (WIDTH * 4 * WIDTH + 4 * WIDTH)  # MLP up
    + (4 * WIDTH * WIDTH + WIDTH)  # MLP down
    + 2 * (WIDTH + WIDTH)  # two norms
)
assert UPT_COUNT == 566_400
SPG_WRITER = (612 + 1) * 128 + 128 * 256 + 256 * 512 + 512 * 1024 + (1024 + 1) * 2048 + 2 * (256 + 512 + 1024)
SPG_JUDGE = (2048 + 512 + 1) * 512 + 2 * (512 + 1) * 512 + 512 + 1
HEAD = 10 * 769
CLASSES = tuple(f"thing {i}" for i in range(10))


@pytest.mark.parametrize(
    ("method", "count"),
    [
        (ZeroShot(), 0),
        (CLAP(), 10 * 512),
        (ImageFinetune(), 85_602_816),
        (NearestMean(), 10 * 512),
        (ProLIP(), 393_216),
        (TwoStage(), 65_536 + 10 * 512),
        (TipAdapter(), 0),
        (CoOp(), 8_192),
        (CoOp(context_length=4), 2_048),
        (CoOp(class_specific=True), 10 * 8_192),
        (KgCoOp(), 2_048),
        (MoCoOp(), (1 + 4 + 4 + 6 + 5) * 512 + 512 + (512 + 1) * 5 + 12 * 2 * 2 * 768),
        (GRAM(), 2_048),
        (GOPro(), 2_048 + 12 * 2 * (768 * 512 + 512) + 12 + 512 * 512 + 2 * 512),
        (SPG(), 2 * 2_048 + SPG_WRITER + SPG_JUDGE),
        (PRE(), 2_048 + 2 * (4 * 256 * (512 + 256) + 2 * 4 * 256)),
        (ProGrad(), 8_192),
        (CoCoOp(), 35_360),
        (MaPLe(), 3_555_072),
        (DeepLanguage(), 24_576),
        (IVLP(), 46_080),
        (PromptSRC(), 46_080),
        (PromptSRC(depth=3), 3 * 4 * (512 + 768)),
        (IVLP(context_length=2, tokens=2, depth=12), 12 * 2 * (512 + 768)),
        (TPT(), 2_048),
        (DiffTPT(), 2_048),
        (PromptAlign(), 3 * (512 * 768 + 768) + 3 * 2 * 512),
        (VPT(), 147_456),
        (VPT(deep=False), 12_288),
        (UPT(), UPT_COUNT),
        (UPT(deep=False), UPT_COUNT - 11 * 4 * 768),
        (ClipLora(), 184_320),
        (ClipLora(rank=4), 368_640),
        (LNTuning(), 2 * (2 * 12 + 2) * 768),
        (LNTuning(towers="both"), 2 * (26 * 768 + 25 * 512)),
        (BitFit(), 12 * 8 * 768 + 26 * 768),
        (BitFit(towers="both"), 12 * 8 * (768 + 512) + 26 * 768 + 25 * 512),
        (RAMT(), 12 * 4 * 768**2),
        (AMT(), 28_311_552),
        (MMT(), 12 * 8 * 768**2),
        (PMT(), 12 * 12 * 768**2),
        (APT(), 12 * (50 * 768 + 2 * 4 * 768 + 1)),
        (DPL(), 9 * 4 * (768 + 512) + 18 + 512 * 512 + 512),
        (RESTORE(), 46_080 + 2 * (2 * 512 * 128 + 2)),
        (KAPT(), 2_048 + (512 * 32 + 32) + (32 * 2_048 + 2_048) + 2 * 512 * 768),
        (CTPTFT(), 2_048 + 2 * 512 * 768 + 512**2),
        (ClipAdapter(), 131_072),
        (LinearProbe(), 10 * 513),
        (LPPlusPlus(), 10 * 514),
        (ConES(), 10 * 512),
        (TipAdapterF(), 20 * 512),
        (UPL(), 16 * 8_192),
        (UPL(members=4), 4 * 8_192),
        (FPL(), 8_192),
        (IFPL(), 8_192),
        (GRIP(), 8_192),
        (GRIPVisual(), 12_288),
        (GRIPMultimodal(), 4 * (512 + 768) + 527_488),
        (POUF(), 2_049),
        (TFUP(), 0),
        (TFUPT(), 10 * 512 + 2 * 512 * 128),
        (LaFTer(text_steps=1), 50 * 768 + 2 * 26 * 768 + 10 * 512),
        (NoLA(), 16 * 768 + 2 * 26 * 768 + 10 * 512),
        (AdaptFormer(), 1_189_632 + HEAD),
        (DVPT(), 2 * 50 * 768 + 2 * 20 * 768 + 1 + 50 * 20 + HEAD),
        (DVPT(form="as_released"), 2 * 50 * 768 + 4 * (2 * 20 * 768 + 1) + HEAD),
        (MappedHead(), 768**2 + HEAD),
        (PVP(), 12 * 20 * 768 + HEAD),
        (PVP(host="prompt_tuning", host_settings="prompt_length=50"), 50 * 768 + HEAD),
        (PVP(host="lora"), 294_912 + HEAD),
        (PVP(host="adapter"), 12 * 2 * (2 * 16 * 768 + 16 + 768) + HEAD),
        (PVPHead(), 768**2 + HEAD),
        (TowerBitFit(), 12 * 8 * 768 + 26 * 768 + HEAD),
        (TowerProbe(), 10 * 513),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_learned_numbers_on_vit_b16(method, count, vit_b16):
    rng = torch.Generator().manual_seed(0)
    support = Labelled(torch.randn(20, 512, generator=rng), torch.arange(20) % 10)
    task = Task.of("things", CLASSES, "a photo of a {}.", vit_b16, shots=2, support=support)
    if {"unlabelled", "domain_labels", "image_text_pairs"} & method.needs:
        task = shapes.task_on(shapes.vit_b16(), len(CLASSES), 2)
    params = method.init(task, rng)
    assert sum(value.numel() for name, value in params.items() if name not in method.frozen) == count


def test_taskres_learns_classes_times_width(make_task):
    params = TaskRes().init(make_task(), torch.Generator())
    assert {name: tuple(value.shape) for name, value in params.items()} == {"base": (5, 16), "residual": (5, 16)}
