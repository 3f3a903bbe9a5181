"""The vote of neighbours: a hand-made one, who is no neighbour, and a model that looks its answer up."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from sciml.pipelines.errors import SettingsError
from sciml.pipelines.galaxy.bundle import Bundle, load_bundle
from sciml.pipelines.galaxy.catalog import Catalog
from sciml.pipelines.galaxy.experiment import Experiment, prepare_model
from sciml.pipelines.galaxy.export import write_onnx
from sciml.pipelines.galaxy.fit import train
from sciml.pipelines.galaxy.logits import predict_logits
from sciml.pipelines.galaxy.model import ModelShape
from sciml.pipelines.galaxy.predict import predict
from sciml.pipelines.galaxy.splits import Split
from sciml.pipelines.galaxy.tabular.batch import TableBatch
from sciml.pipelines.galaxy.tabular.retrieval import COMPANIONS, MOST_ROWS, Retrieval, nearest
from sciml.pipelines.galaxy.train import Hooks, Job, Trainer
from sciml.pipelines.galaxy.training_settings import Predict, Train

SETTINGS = Train(
    epochs=10, batch_size=64, width=16, blocks=1, dropout=0.0, label_smoothing=0.0, learning_rate=5e-3, ema=0.5,
    scale="standard", arms=("table",), retrieval=True, audit=False,
)  # fmt: skip


def rows(values):
    x = torch.as_tensor(values, dtype=torch.float32)
    return TableBatch(x, torch.zeros(x.shape, dtype=torch.bool), torch.zeros(len(x), 0, dtype=torch.int64))


def stored(values, labels, groups=None, n_classes=2):
    made = Retrieval(len(values[0]), n_classes, len(values), len(values[0]), 0)
    groups = torch.arange(len(values)) if groups is None else torch.tensor(groups)
    made.store(rows(values), torch.tensor(labels), groups)
    made.norm = torch.nn.Identity()
    return made


def vote(made, query, keys=None, known=None):
    """Probabilities of embeddings `query`."""
    with torch.no_grad():
        query = torch.as_tensor(query, dtype=torch.float32)
        keys = made.keys(lambda part: part.continuous) if known is None else None
        return made(query, keys, known).exp().numpy()


def test_the_vote_is_the_softmax_of_the_distances():
    made = stored([[0.0, 0.0], [3.0, 4.0], [0.0, 1.0]], [0, 1, 1])
    weight = np.exp(-np.array([0.0, 5.0, 1.0]))
    expected = [weight[0], weight[1] + weight[2]] / weight.sum()
    assert vote(made, [[0.0, 0.0]])[0] == pytest.approx(expected, abs=1e-5)


def test_in_training_a_row_asks_neither_itself_nor_its_group():
    made = stored([[0.0, 0.0], [0.0, 0.1], [5.0, 0.0]], [0, 0, 1])
    alone = vote(made, made.continuous, known=torch.arange(3))
    assert alone[0, 0] > 0.9, "its near neighbour has its class"
    made.groups[1] = made.groups[0]
    apart = vote(made, made.continuous, known=torch.arange(3))
    assert apart[0, 1] > 0.99, "of the same group, it is no neighbour any more"
    # drawn twice, it is still itself
    twice = vote(made, made.continuous[[0, 0, 2]], known=torch.tensor([0, 0, 2]))
    assert twice[0, 1] > 0.99


def test_without_anybody_to_ask_nothing_is_known():
    made = stored([[0.0, 0.0], [1.0, 1.0]], [0, 1])
    query = torch.zeros(1, 2, requires_grad=True)
    out = made(query, None, torch.tensor([0]))
    assert torch.allclose(out, torch.tensor([[-np.log(2.0)]], dtype=torch.float32))
    out.sum().backward()
    assert not query.grad.any()


def test_equal_rows_have_finite_gradients():
    made = stored([[1.0, 1.0]] * 4, [0, 1, 0, 1])
    query = torch.ones(4, 2, requires_grad=True)
    made(query, None, torch.arange(4)).sum().backward()
    assert torch.isfinite(query.grad).all()


def test_companions_are_near_and_of_another_group():
    values, groups = np.array([[0.0], [0.1], [0.2], [5.0], [5.1]], np.float32), np.array([0, 0, 1, 2, 2])
    near = nearest(values, groups).numpy()
    assert near.shape == (5, COMPANIONS)
    assert (groups[near] != groups[:, None]).all()
    assert near[0, 0] == 2 and near[3, 0] == 2
    alone = nearest(values, np.zeros(5, int)).numpy()
    assert (alone == np.arange(5)[:, None]).all()


def test_an_epoch_holds_each_seed_beside_a_neighbour():
    made = stored(np.arange(9.0)[:, None].tolist(), [0, 1] * 4 + [0])
    order = torch.randperm(9, generator=torch.Generator().manual_seed(3))
    first, again = (made.beside(order, torch.Generator().manual_seed(1)) for _ in range(2))
    assert torch.equal(first, again) and len(first) == 9
    assert torch.equal(first[0:8:2], order[:4])
    assert ((first[1:8:2] - first[0:8:2]).abs() <= COMPANIONS).all() and (first[1:8:2] != first[0:8:2]).all()


def test_too_many_rows_are_refused():
    with pytest.raises(SettingsError, match="accepted: 2 to"):
        Retrieval(4, 2, MOST_ROWS + 1, 3, 0)
    with pytest.raises(SettingsError, match="table alone"):
        ModelShape(n_stored=10)


def triples_catalog(n=210, seed=0):
    """Rows in near-equal threes; the class is that of the three, and no function of where they lie."""
    random = np.random.default_rng(seed)
    labels = np.repeat(random.integers(0, 2, n // 3), 3)
    place = np.repeat(random.normal(size=(n // 3, 3)), 3, axis=0) + random.normal(0, 0.01, (n, 3))
    ids = np.array([f"g{i:04d}" for i in range(n)])
    return Catalog(ids=ids, table=pd.DataFrame(place, columns=["a", "b", "c"]), labels=labels, classes=("x", "y"))


def trainer_of(settings, hooks=None, catalog=None):
    catalog = catalog or triples_catalog()
    third = np.arange(len(catalog)) % 3
    split = Split(np.flatnonzero(third < 2)[:-40], np.flatnonzero(third < 2)[-40:], np.flatnonzero(third == 2)[:-20])
    prepared = prepare_model(Experiment(catalog, [split], ("table",), 1), settings, "table", 0, "cpu")
    job = Job("t", "table", 0, split.train, split.validation, catalog.labels, 2)
    return Trainer(job, prepared.model, prepared.feed, settings, hooks), prepared, split, catalog


def test_a_model_that_asks_its_neighbours_knows_a_near_copy():
    settings = replace(SETTINGS, epochs=25, learning_rate=1e-2, keep="last")
    trainer, prepared, split, catalog = trainer_of(settings)
    assert trainer.run()
    logits = predict_logits(prepared.model, prepared.feed, split.test)[:, 0]
    right = logits.argmax(1) == catalog.labels[split.test]
    assert right.mean() > 0.8, "the class is known from the copies alone"


def test_resumed_equals_uninterrupted_to_the_bit():
    settings = replace(SETTINGS, epochs=3)
    whole = trainer_of(settings)[0]
    whole.run()
    kept, calls = {}, iter([False, True])
    save = lambda name, tensors, header: kept.update({name: (tensors, header)})  # noqa: E731
    first = trainer_of(settings, Hooks(save=save, should_stop=lambda: next(calls, True)))[0]
    assert not first.run()
    second = trainer_of(settings, Hooks(load=kept.get, save=save))[0]
    assert second.run()
    for name, value in whole.best_weights.items():
        assert torch.equal(value, second.best_weights[name]), name


def test_the_rows_travel_in_the_bundle(tmp_path):
    trainer, prepared, split, catalog = trainer_of(replace(SETTINGS, epochs=1))
    trainer.run()
    before = predict_logits(prepared.model, prepared.feed, split.test)
    facts = {"arm": "table", "classes": ["x", "y"], "temperature": 1.0}
    Bundle(prepared.model, None, prepared.preprocessor, facts).save(tmp_path / "m.safetensors")
    again = load_bundle(tmp_path / "m.safetensors")
    after = predict_logits(again.model, prepared.feed, split.test)
    assert np.array_equal(before, after)
    assert torch.equal(again.model.retrieval.labels, torch.from_numpy(catalog.labels[split.train]))


def test_onnx_holds_the_rows_too(tmp_path):
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    trainer, prepared, split, _ = trainer_of(replace(SETTINGS, epochs=1))
    trainer.run()
    wanted = predict_logits(prepared.model, prepared.feed, split.test[:4])[:, 0]
    write_onnx(Bundle(prepared.model, None, prepared.preprocessor, {}), tmp_path / "m.onnx")
    session = runtime.InferenceSession(str(tmp_path / "m.onnx"), providers=["CPUExecutionProvider"])
    batch = prepared.feed.table.rows(torch.from_numpy(split.test[:4]))
    given = {entry.name for entry in session.get_inputs()}
    (found,) = session.run(["logits"], {n: v.numpy() for n, v in batch._asdict().items() if n in given})
    np.testing.assert_allclose(found, wanted, atol=1e-4)


def test_from_a_file_to_predictions(tmp_path):
    catalog = triples_catalog(150)
    frame = catalog.table.assign(objid=catalog.ids, merger=catalog.labels).reset_index(drop=True)
    frame.to_csv(tmp_path / "t.csv", index=False)
    settings = replace(SETTINGS, table=(tmp_path / "t.csv",), id="objid", label="merger", epochs=2, folds=2, bootstrap=20,
                       out=tmp_path / "run", threads=1)  # fmt: skip
    run = train(settings, {})
    predict(Predict(model=run.path, table=(tmp_path / "t.csv",), to=tmp_path / "p.csv", threads=1))
    assert len(pd.read_csv(tmp_path / "p.csv")) == 150
    with pytest.raises(SettingsError, match="table alone"):
        train(
            replace(settings, table=(), simulate=40, id=None, label=None, arms=("image",), out=tmp_path / "other"), {}
        )
