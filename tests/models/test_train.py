"""The training loop on a real task package and data that the test makes: resume, determinism, a loss gone wrong."""

import io
import os
import re
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from models import tasks
from models import train as training
from models.asr.network import Network
from models.detection.network import Network as DetectionNetwork
from models.detection.network import Settings as DetectionSettings
from models.errors import InvalidInput, LossNotFinite
from models.optimizers import MUON_PACE, optimizers
from models.pretrained import Pretrained
from models.records import Item, Label
from models.running import Run
from models.stopping import Stop
from models.train import Examples, Plan, _begin, _Pace, as_begun, train
from tests.roads import road_pairs
from tests.tones import SMALL

ROOT = Path(__file__).parents[2]
QUIET = Console(quiet=True)
CPU = torch.device("cpu")


def plan(epochs: int = 3) -> Plan:
    return Plan(task="lane", data=("lines",), epochs=epochs, batch_size=2, learning_rate=1e-3, seed=7)


def state(network: nn.Module) -> dict[str, Tensor]:
    return dict(network.state_dict())


def assert_same(one: nn.Module, other: nn.Module) -> None:
    for name, value in state(one).items():
        assert torch.equal(value, state(other)[name]), name


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def test_the_same_seed_gives_the_same_weights(tmp_path: Path) -> None:
    pairs = road_pairs(tmp_path / "media")
    first, _ = train(plan(), pairs, tmp_path / "a", console=QUIET, device=CPU)
    second, _ = train(plan(), pairs, tmp_path / "b", console=QUIET, device=CPU)
    assert_same(first, second)


CHILD = """
import sys, torch
from pathlib import Path
from rich.console import Console
from models import train as module
sys.path.insert(0, {tests!r})
from test_train import plan, road_pairs
torch.set_num_threads(1)
module.CHECKPOINT_EVERY_S = 0.0  # after every batch
pairs = road_pairs(Path({media!r}))
module.train(plan(), pairs, Path({run!r}), console=Console(quiet=True), device=torch.device("cpu"))
"""


def test_a_killed_run_ends_as_an_unbroken_one(tmp_path: Path) -> None:
    pairs = road_pairs(tmp_path / "media")
    unbroken, _ = train(plan(), pairs, tmp_path / "unbroken", console=QUIET, device=CPU)

    run = tmp_path / "killed"
    code = CHILD.format(tests=str(Path(__file__).parent), media=str(tmp_path / "media"), run=str(run))
    child = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT)
    deadline = time.monotonic() + 180
    while not (run / "checkpoint.pt").exists() and time.monotonic() < deadline and child.poll() is None:
        time.sleep(0.01)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    saved = torch.load(run / "checkpoint.pt", weights_only=True)["progress"]
    assert saved[2] < 9, "the run was over before it could be killed"

    resumed, _ = train(plan(), pairs, run, console=QUIET, device=CPU)
    assert_same(unbroken, resumed)


@pytest.fixture
def heeds_ctrl_c() -> Iterator[None]:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # tests in the background would ignore it
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heeds_ctrl_c")
def test_ctrl_c_keeps_what_is_done_and_the_run_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    class Impatient(Console):
        def print(self, *objects: Any, **how: Any) -> None:
            said.extend(one for one in objects if isinstance(one, str))
            if len(said) == 1 and objects:
                signal.raise_signal(signal.SIGINT)

    said = list[str]()
    pairs = road_pairs(tmp_path / "media")
    unbroken, _ = train(plan(), pairs, tmp_path / "unbroken", console=QUIET, device=CPU)
    with pytest.raises(KeyboardInterrupt):
        train(plan(), pairs, tmp_path / "stopped", console=Impatient(quiet=True), device=CPU)
    assert said[0].startswith("epoch 1/3")
    assert said[1:] == ["stopped; the same command goes on at epoch 2, batch 1"]
    assert signal.getsignal(signal.SIGINT) == signal.default_int_handler
    assert torch.load(tmp_path / "stopped" / "checkpoint.pt", weights_only=True)["progress"][:2] == [1, 0]
    for told in ("going on at epoch 2, batch 1: stopped\n", "trained already: stopped\n"):
        written = io.StringIO()
        resumed, _ = train(plan(), pairs, tmp_path / "stopped", console=Console(file=written), device=CPU)
        assert told in written.getvalue()
        assert " 0/" not in written.getvalue().splitlines()[-1].split("training")[-1]
        assert_same(unbroken, resumed)


def test_an_example_that_is_not_kept_is_decoded_once_a_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = road_pairs(tmp_path / "media")
    recipe, decoded = tasks.recipe("lane"), list[str]()
    prepare = recipe.prepare

    def watched(item: Item, label: Label) -> Any:
        decoded.append(item.id)
        return prepare(item, label)

    monkeypatch.setattr(recipe, "prepare", watched)
    monkeypatch.setattr(Examples, "keep", lambda *_: None)  # no room for any
    train(plan(epochs=2), pairs, tmp_path / "run", console=QUIET, device=CPU)
    assert sorted(decoded) == sorted(3 * [item.id for item, _ in pairs])  # their sizes, then two epochs


def test_a_checkpoint_goes_on_on_another_device(tmp_path: Path) -> None:
    """AdamW reads each weight's count of steps on the CPU: on a GPU every one would have to be waited for."""
    module, path = tasks.network("lane"), tmp_path / "checkpoint.pt"

    def begun(device: str) -> Run:
        return _begin(plan(), tasks.recipe("lane"), module, module.Settings(), None, torch.device(device))

    here, there = begun("cpu"), begun("meta")
    for weight in here.network.parameters():
        weight.grad = torch.zeros_like(weight)
    here.optimizers[0].step()
    here.save(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # this other device has no memory for the weights
        there.load(path)
    states = list(there.optimizers[0].state.values())
    assert {each["step"].device.type for each in states} == {"cpu"}
    assert {each["exp_avg"].device.type for each in states} == {"meta"}


def test_a_gpu_that_is_too_small_for_a_batch_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    monkeypatch.setattr(tasks.network("lane"), "loss", full)
    with pytest.raises(InvalidInput, match=r"step 1: expected batches of 2 to fit into .*--batch-size"):
        train(plan(), road_pairs(tmp_path / "media"), tmp_path / "run", console=QUIET, device=CPU)


def test_the_share_of_the_peak_goes_with_the_size_of_what_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    layer, pace = nn.Linear(8, 4, bias=False), _Pace(CPU)
    pace._peak = 1e6  # operations a second

    def gradients(run: object, plan: object, batch: Any, ids: object) -> float:
        torch.autograd.backward(layer(batch.images).sum())  # 2 x 2 x 8 x 4 operations a row
        return 1.0

    monkeypatch.setattr(training, "_gradients", gradients)
    for rows in (10, 40):  # larger ones later on
        pace.gradients(None, None, SimpleNamespace(images=torch.ones(rows, 8)), ["a"])  # type: ignore[arg-type]
    monkeypatch.setattr(time, "monotonic", lambda: pace._began + 0.1)
    assert pace.lap().endswith(f"{50 * 128 / 0.1 / 1e6:.1%} of the GPU's peak")


@pytest.mark.usefixtures("heeds_ctrl_c")
def test_a_second_ctrl_c_ends_at_once() -> None:
    with Stop() as stop:
        signal.raise_signal(signal.SIGINT)
        assert stop.asked
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


@pytest.mark.usefixtures("heeds_ctrl_c")
def test_ctrl_c_that_is_ignored_stays_so() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with Stop() as stop:
        signal.raise_signal(signal.SIGINT)
        assert not stop.asked


def test_the_last_share_of_a_run_may_be_shown_otherwise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = tasks.recipe("lane")
    shown = list[str]()

    def showing(how: str, collate: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *given: shown.append(how) or collate(*given)  # type: ignore[func-returns-value]

    monkeypatch.setattr(recipe, "collate_late", showing("late", recipe.collate), raising=False)
    monkeypatch.setattr(recipe, "collate", showing("as ever", recipe.collate))
    pairs = road_pairs(tmp_path / "media")
    train(plan(epochs=4), pairs, tmp_path / "without", console=QUIET, device=CPU)
    assert set(shown) == {"as ever"}
    batches = len(shown) // 4
    shown.clear()
    monkeypatch.setattr(recipe, "LATE", 0.5, raising=False)
    train(plan(epochs=4), pairs, tmp_path / "with", console=QUIET, device=CPU)
    assert shown == 2 * batches * ["as ever"] + 2 * batches * ["late"]


def test_strong_augmentation_reaches_every_batch_of_a_recipe_that_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InvalidInput, match="training lane: expected the usual augmentation, got strong"):
        train(replace(plan(), strong=True), road_pairs(tmp_path / "media"), tmp_path / "run", console=QUIET, device=CPU)
    recipe, shown = tasks.recipe("lane"), list[Any]()
    collate = recipe.collate
    monkeypatch.setattr(recipe, "STRONG", "stronger", raising=False)

    def showing(*given: Any, **more: Any) -> Any:
        shown.append(more)
        return collate(*given)

    monkeypatch.setattr(recipe, "collate", showing)
    for strong in (False, True):
        pairs = road_pairs(tmp_path / "media")
        train(replace(plan(), strong=strong), pairs, tmp_path / f"{strong}", console=QUIET, device=CPU)
    assert shown == len(shown) // 2 * [{}] + len(shown) // 2 * [{"variation": "stronger"}]


def test_a_share_of_the_weights_that_training_starts_from_may_stay(tmp_path: Path) -> None:
    pairs = road_pairs(tmp_path / "media")
    network, settings = train(plan(epochs=1), pairs, tmp_path / "first", console=QUIET, device=CPU)
    save_file(network.state_dict(), tmp_path / "first.safetensors")
    start = Pretrained("first", asdict(settings), tmp_path / "first.safetensors")
    begun, ended, mixed = (
        state(network),
        *(
            state(train(goes_on, pairs, tmp_path / f"{goes_on.keep}", start=start, console=QUIET, device=CPU)[0])
            for goes_on in (replace(plan(), parent="first"), replace(plan(), parent="first", keep=0.25))
        ),
    )
    assert any(not torch.equal(begun[name], value) for name, value in ended.items())
    for name, value in mixed.items():
        if value.is_floating_point():
            torch.testing.assert_close(value, torch.lerp(ended[name], begun[name], 0.25))


def test_what_a_start_knows_nothing_of_is_kept_as_trained(tmp_path: Path) -> None:
    """A new category has no weights from before to be mixed with."""
    known, settings = DetectionSettings(("car",)), DetectionSettings(("car", "tram"))
    save_file(DetectionNetwork(known).state_dict(), tmp_path / "known.safetensors")
    start = Pretrained("known", asdict(known), tmp_path / "known.safetensors")
    trained, recipe = DetectionNetwork(settings), tasks.recipe("detection")
    begun = as_begun(trained, recipe, tasks.network("detection"), start).state_dict()
    car, tram = begun["head.logits.weight"]
    assert torch.equal(tram, trained.state_dict()["head.logits.weight"][1])
    assert torch.equal(car, load_file(start.checkpoint)["head.logits.weight"][0])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
def test_a_gpu_learns_and_tells_how_busy_it_was(tmp_path: Path) -> None:
    console = Console(record=True, quiet=False, file=io.StringIO(), width=200)
    network, _ = train(plan(epochs=20), road_pairs(tmp_path / "media"), tmp_path / "run", console=console)
    told = re.findall(r"loss ([0-9.]+), [0-9.]+ items/s, \d+ s, ([0-9.]+)% of the GPU's peak", console.export_text())
    assert len(told) == 20
    assert float(told[-1][0]) < 0.7 * float(told[0][0])
    assert all(0 <= float(share) < 100 for _, share in told)  # of a network so small hardly any
    assert all(value.device == CPU and bool(torch.isfinite(value).all()) for value in network.parameters())


def test_a_loss_that_is_not_finite_names_its_items(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = road_pairs(tmp_path / "media")
    module = tasks.network("lane")
    real, calls = module.loss, []

    def poisoned(network: nn.Module, batch: object) -> Tensor:
        calls.append(1)
        loss: Tensor = real(network, batch)
        return loss * float("nan") if len(calls) == 2 else loss

    monkeypatch.setattr(module, "loss", poisoned)
    with pytest.raises(LossNotFinite, match=r"step 2: expected a finite loss, got nan; items: \d\.png, \d\.png"):
        train(plan(), pairs, tmp_path / "run", console=QUIET, device=CPU)
    assert len(calls) == 2


def test_a_plan_names_its_run_by_what_decides_the_weights(tmp_path: Path) -> None:
    pairs = road_pairs(tmp_path)
    corrected = [(pairs[0][0], pairs[1][1]), *pairs[1:]]
    assert plan().run_name(pairs) == plan().run_name(pairs[::-1])
    names = [plan().run_name(pairs), plan(epochs=4).run_name(pairs), plan().run_name(pairs[1:])]
    assert len({*names, plan().run_name(corrected)}) == 4


def test_nothing_to_train_on_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="expected at least 1 labelled item, got none"):
        train(plan(), [], tmp_path, console=QUIET, device=CPU)
    with pytest.raises(
        InvalidInput, match=r"expected epochs, batch size and learning rate > 0 and finite, got 0, \d+ and [\d.]+$"
    ):
        plan(epochs=0)
    with pytest.raises(InvalidInput, match=r"expected a version to start from, to keep 0\.5 of it, got none$"):
        replace(plan(), keep=0.5)
    with pytest.raises(InvalidInput, match=r"expected to keep a share in \[0, 1\) of the start, got 1$"):
        replace(plan(), keep=1.0, parent="first")


def test_every_weight_has_one_optimizer_and_hidden_matrices_have_muon() -> None:
    network = Network(SMALL)
    adamw, muon = optimizers(network, 1e-3)
    names = {p: name for name, p in network.named_parameters()}
    held = [[names[p] for group in each.param_groups for p in group["params"]] for each in (adamw, muon)]
    assert sorted(held[0] + held[1]) == sorted(names.values())
    assert {"blocks.0.attention.project.weight", "blocks.2.after.1.weight"} < set(held[1])
    assert {"head.weight", "subsampling.first.weight", "norm.bias"} < set(held[0])
    assert muon.param_groups[0]["lr"] == MUON_PACE * adamw.param_groups[0]["lr"]


def test_what_was_pretrained_elsewhere_stays_with_adamw() -> None:
    network = Network(SMALL)
    object.__setattr__(network, "settings", {"architecture": "wav2vec2"})
    (only,) = optimizers(network, 1e-3)
    assert isinstance(only, torch.optim.AdamW)
    assert sum(len(group["params"]) for group in only.param_groups) == len(list(network.parameters()))
