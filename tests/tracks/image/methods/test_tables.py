"""What papers set by dataset or by benchmark reaches the recipe where a setting was left as it is, and only there."""

from dataclasses import replace

import pytest
import torch

from promptgrid.tracks.image.methods.mocoop import MoCoOp
from promptgrid.tracks.image.methods.parts.adversaries import clips
from promptgrid.tracks.image.methods.parts.benchmarks import benchmark
from promptgrid.tracks.image.methods.parts.published import NAMES
from promptgrid.tracks.image.methods.spg import SPG
from promptgrid.tracks.image.methods.tables.mocoop import GROUPS
from promptgrid.tracks.image.methods.tfup_t import TFUPT


@pytest.mark.parametrize(
    ("dataset", "name"),
    [
        ("imagefolder:/data/PACS/sketch", "PACS"),
        ("imagefolder:/data/pacs", "PACS"),
        ("imagefolder:/data/PACS/photo|imagefolder:/data/PACS/sketch", "PACS"),
        ("imagefolder:/data/VLCS/caltech101", "VLCS"),
        ("imagefolder:/data/office-31/amazon", "Office31"),
        ("imagefolder:C:\\data\\Office_31\\dslr", "Office31"),
        ("imagefolder:/data/visda2017/validation", "VisDA17"),
        ("PACS photo", "PACS"),
        ("imagefolder:/data/PACS/photo|imagefolder:/data/VLCS/labelme", ""),
        ("imagefolder:/pacs/data/sketch", ""),
        ("imagefolder:/data/OfficeHome/art", ""),
        ("imagefolder:/data/impacs/photo", ""),
        ("emoji_fluent|emoji_noto", ""),
        ("weather", ""),
        ("", ""),
    ],
)
def test_a_benchmark_is_told_by_where_its_domains_lie(dataset, name):
    assert benchmark(dataset) == name


def test_tfup_t_learns_from_fewer_and_faster_where_the_paper_does(make_task):
    def found(dataset, **settings):
        method, task = TFUPT(**settings), make_task(dataset=dataset)
        return float(method.recipe(task).optimizer.learning_rate), method.draws(task, 1000)[0]

    usual, fewer = 5 * 150, 5 * 100
    assert found("weather") == found("/data/OfficeHome/art") == (0.012, usual)
    assert found("/data/office31/amazon") == (0.05, fewer)
    assert found("/data/visda17") == (0.012, fewer)
    assert found("/data/office31/amazon", learning_rate=0.1, share=0.2) == (0.1, 5 * 40)
    assert found("/data/office31/amazon", as_published=False) == (0.012, usual)
    with pytest.raises(ValueError, match="share"):
        TFUPT(share=1.5)


def test_spg_plays_by_the_rates_and_bounds_of_its_benchmark(make_task):
    def found(dataset, **settings):
        recipe = SPG(**settings).recipe(replace(make_task(dataset=dataset), turn=1))
        return float(recipe.optimizer.learning_rate), {name: rule.clip for name, rule in recipe.rules.items()}

    assert found("weather") == found("/data/OfficeHome/art") == (2e-4, clips("others"))
    assert found("/data/PACS/photo|/data/PACS/sketch") == (2e-3, clips("PACS"))
    assert found("/data/VLCS/sun09") == (2e-3, clips("others"))
    assert found("/data/PACS/photo", gan_rate=1e-3) == (1e-3, clips("PACS"))
    assert found("/data/PACS/photo", as_published=False) == (2e-4, clips("others"))
    assert found("weather", clipping="PACS") == (2e-4, clips("PACS"))
    assert SPG().recipe(make_task(dataset="/data/PACS/photo")).optimizer.learning_rate == 0.002, "of stage I"
    stacked = SPG(gan_rate=torch.tensor([2e-4, 1e-3])).recipe(replace(make_task(dataset="/data/pacs"), turn=1))
    assert stacked.optimizer.learning_rate.tolist() == pytest.approx([2e-3, 1e-3])


def test_mocoop_has_groups_for_each_dataset_of_the_original():
    assert GROUPS.keys() == set(NAMES)
    counts = {name: [len(group) for group in groups] for name, groups in GROUPS.items()}
    assert counts["Caltech101"] == counts["DTD"] == counts["OxfordFlowers"] == counts["FGVCAircraft"] == [1, 1, 1, 4, 2]
    assert counts["EuroSAT"] == [1, 1, 2, 2, 4, 2]
    assert counts["OxfordPets"] == [1, 2, 1, 1, 4, 2]
    assert counts["StanfordCars"] == [3, 1, 1, 4, 2]
    assert counts["SUN397"] == [1, 1, 4, 2]
    assert counts["UCF101"] == [1, 1, 1, 1, 4, 2]
    assert counts["Food101"] == [1, 3, 4, 2]
    assert counts["ImageNet"] == [1, 1, 1, 1, 2, 2, 3, 1, 1, 1, 7, 2, 1, 2, 1, 1, 1, 1, 1, 1]
    for groups in GROUPS.values():
        flat = [template for group in groups for template in group]
        assert len(set(flat)) == len(flat)
        assert all(template.count("{}") == 1 for template in flat)


def test_mocoop_starts_from_the_groups_of_its_dataset(make_task):
    def groups(dataset, **settings):
        params = MoCoOp(**settings).init(make_task(dataset=dataset), torch.Generator().manual_seed(0))
        (name,) = (name.removeprefix("context_") for name in params if name.startswith("context_"))
        assert len(params["router_bias"]) == len(GROUPS[name])
        return name

    assert groups("meadow") == "Caltech101"
    assert groups("EuroSAT") == "EuroSAT"
    assert groups("split_zhou_OxfordPets.json") == "OxfordPets"
    assert groups("EuroSAT", groups="SUN397") == "SUN397"
    assert groups("EuroSAT", as_published=False) == "Caltech101"


def test_mocoop_carries_its_groups_to_another_dataset(make_task, batch_of):
    """The texts of a prompt learned on EuroSAT are of EuroSAT's groups, whatever the classes are of."""
    method, (batch, labels) = MoCoOp(), batch_of()
    params = method.init(make_task(dataset="EuroSAT"), torch.Generator().manual_seed(0))
    home, away = make_task(dataset="EuroSAT"), make_task(dataset="OxfordPets")
    out = method.forward(params, batch, away)
    assert torch.equal(out.logits, method.forward(params, batch, home).logits)
    found, wanted = method.losses(params, out, labels, away), method.losses(params, out, labels, home)
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)


def test_mocoop_learns_on_imagenet_as_published(make_task):
    def found(dataset, **settings):
        recipe = MoCoOp(**settings).recipe(make_task(dataset=dataset))
        return recipe.optimizer.learning_rate, recipe.batches.size, recipe.epochs, recipe.schedule.length

    assert found("meadow") == (0.032, 32, 25, 3)
    assert found("ImageNet") == (0.002, 1, 10, 1)
    assert found("ImageNet", epochs=4, batch_size=8) == (0.002, 8, 4, 1)
    assert found("ImageNet", as_published=False) == (0.032, 32, 25, 3)
    assert found("meadow", epochs=2) == (0.032, 32, 2, 1)
