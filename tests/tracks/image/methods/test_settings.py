"""Bad settings are refused by name, before any work; knobs and fields are told apart."""

import pytest
import torch

from promptgrid.tracks.image.methods.clip_adapter import ClipAdapter
from promptgrid.tracks.image.methods.clip_lora import ClipLora
from promptgrid.tracks.image.methods.cocoop import CoCoOp
from promptgrid.tracks.image.methods.cones import ConES
from promptgrid.tracks.image.methods.coop import CoOp
from promptgrid.tracks.image.methods.kgcoop import KgCoOp
from promptgrid.tracks.image.methods.linear_probe import LinearProbe
from promptgrid.tracks.image.methods.lp_plus_plus import LPPlusPlus
from promptgrid.tracks.image.methods.maple import MaPLe
from promptgrid.tracks.image.methods.mocoop import MoCoOp
from promptgrid.tracks.image.methods.parts.published import paper_name
from promptgrid.tracks.image.methods.pre import PRE
from promptgrid.tracks.image.methods.prograd import ProGrad
from promptgrid.tracks.image.methods.promptsrc import PromptSRC
from promptgrid.tracks.image.methods.taskres import TaskRes
from promptgrid.tracks.image.methods.tip_adapter import TipAdapter
from promptgrid.tracks.image.methods.tip_adapter_f import TipAdapterF
from promptgrid.tracks.image.methods.vpt import VPT
from promptgrid.tracks.image.methods.zero_shot import ZeroShot


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        (CoOp, {"context_length": 0}),
        (CoOp, {"context_length": 2.5}),
        (CoOp, {"context_length": True}),
        (CoOp, {"position": "beside"}),
        (CoOp, {"position": 3}),
        (CoOp, {"class_specific": "yes"}),
        (CoOp, {"learning_rate": -0.1}),
        (CoOp, {"learning_rate": float("nan")}),
        (CoOp, {"learning_rate": "fast"}),
        (CoOp, {"batch_size": 0}),
        (CoOp, {"epochs": -1}),
        (CoOp, {"context_length": 16, "words": "a photo of a"}),
        (KgCoOp, {"context_length": 16}),
        (KgCoOp, {"strength": -1}),
        (CoCoOp, {"images_at_once": 0}),
        (CoCoOp, {"reduction": 0}),
        (MaPLe, {"context_length": 5}),
        (MaPLe, {"depth": 0}),
        (ProGrad, {"context_length": 0}),
        (PromptSRC, {"gpa_deviation": 0.0}),
        (PromptSRC, {"depth": 1}),
        (PromptSRC, {"context_length": 5}),
        (PromptSRC, {"tokens": 0}),
        (ClipAdapter, {"ratio": 1.5}),
        (ClipAdapter, {"reduction": 0}),
        (ClipLora, {"rank": 0}),
        (ClipLora, {"rate": 1.0}),
        (TaskRes, {"alpha": float("inf")}),
        (TipAdapter, {"search": 1}),
        (TipAdapterF, {"beta": None}),
        (VPT, {"tokens": 0}),
        (VPT, {"place": "text"}),
        (ZeroShot, {"templates": "nine"}),
        (LinearProbe, {"c": 0.0}),
        (LPPlusPlus, {"alpha_grad": "kept"}),
        (LPPlusPlus, {"period": 0}),
        (ConES, {"start": "names"}),
        (PRE, {"context_length": 3}),
        (MoCoOp, {"groups": "meadow"}),
    ],
)
def test_a_bad_setting_is_named(kind, settings):
    with pytest.raises(ValueError, match=next(iter(settings))):
        kind(**settings)


def test_stacked_knobs_are_not_checked_again():
    assert CoOp(learning_rate=torch.tensor(-1.0)).context_length == 16


def test_words_must_be_as_many_tokens_as_the_context(make_task):
    with pytest.raises(ValueError, match="words"):
        CoOp(context_length=2, words="well-kept photo").init(make_task(), torch.Generator())


def test_knobs_change_numbers_and_fields_change_shapes(any_method, make_task):
    knobs = type(any_method).knobs()
    for name, knob in knobs.items():
        default = type(any_method).defaults()[name]
        assert isinstance(default, float)
        assert knob.low <= default <= knob.high
    shapes = {
        name: value.shape for name, value in any_method.init(make_task(), torch.Generator().manual_seed(0)).items()
    }
    moved = type(any_method)(**{**vars(any_method), **{name: knob.high for name, knob in knobs.items()}})
    again = moved.init(make_task(), torch.Generator().manual_seed(0))
    assert {name: value.shape for name, value in again.items()} == shapes


@pytest.mark.parametrize(
    ("dataset", "name"),
    [
        ("OxfordFlowers", "OxfordFlowers"),
        ("coop-split:/data/flowers/split_zhou_OxfordFlowers.json", "OxfordFlowers"),
        ("split_zhou_DescribableTextures.json", "DTD"),
        ("imagefolder:/data/dtd", "DTD"),
        ("/dtd/other", ""),
        ("flowers", ""),
        ("emoji_food101x", ""),
    ],
)
def test_the_papers_dataset_names_are_recognised(dataset, name):
    assert paper_name(dataset) == name


def test_papers_values_give_way_to_what_is_set(make_task):
    assert ProGrad().step(make_task(dataset="DTD", shots=16)).strength == 0.8
    assert ProGrad().step(make_task(dataset="DTD", shots=4)).strength == 1.0
    assert ProGrad().step(make_task(shots=16)).strength == 1.0
    assert ProGrad(strength=0.5).step(make_task(dataset="DTD", shots=16)).strength == 0.5
    assert ProGrad(as_published=False).step(make_task(dataset="DTD", shots=16)).strength == 1.0
    stacked = ProGrad(strength=torch.tensor([1.0, 0.5])).step(make_task(dataset="DTD", shots=16)).strength
    assert stacked.tolist() == pytest.approx([0.8, 0.5])


def test_recipes_are_the_papers(make_task):
    assert [CoOp().recipe(make_task(shots=k)).epochs for k in (1, 2, 4, 8, 16)] == [50, 100, 100, 200, 200]
    assert CoOp().recipe(make_task(dataset="ImageNet", shots=16)).epochs == 50
    assert CoOp(epochs=7).recipe(make_task(dataset="ImageNet", shots=16)).epochs == 7
    assert TaskRes().recipe(make_task(shots=1)).epochs == 100
    assert TaskRes().recipe(make_task(dataset="ImageNet")).optimizer.learning_rate == 2e-4
    assert ClipLora().recipe(make_task(shots=4)).iterations == 2000
    assert TipAdapterF().recipe(make_task(dataset="EuroSAT")).epochs == 100
    assert (CoCoOp().batch_size, CoCoOp().epochs, MaPLe().learning_rate, KgCoOp().batch_size) == (1, 10, 0.0035, 128)
    assert (
        ZeroShot().recipe(make_task()) is TipAdapter().recipe(make_task()) is LinearProbe().recipe(make_task()) is None
    )


def test_promptsrc_averages_as_published(make_task):
    def averaging(dataset="meadow", **settings):
        average = PromptSRC(**settings).recipe(make_task(dataset=dataset, shots=16)).average
        return average.mean, average.deviation

    assert averaging() == averaging("DTD") == (15.0, 1.0)
    assert averaging(epochs=50) == averaging("OxfordPets", epochs=50) == (30.0, 30.0)
    assert averaging("EuroSAT", epochs=50) == (45.0, 5.0)
    assert averaging("EuroSAT", epochs=50, gpa_mean=40.0) == (40.0, 1.0)


def test_methods_that_cannot_score_unseen_classes_say_so():
    closed = [CoOp(class_specific=True), TaskRes(), LPPlusPlus(), ConES(), TipAdapter(), TipAdapterF(), LinearProbe()]
    assert not any(method.open_vocabulary for method in closed)
    assert all(
        method.open_vocabulary for method in (CoOp(), KgCoOp(), CoCoOp(), MaPLe(), VPT(), ClipAdapter(), ClipLora())
    )
