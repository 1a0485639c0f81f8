"""Every kind of model comes back whole: from a file, a pickle in another process, a copy, a clone.

All constructor parameters differ from their defaults, so that one that is lost is missed.
"""

from __future__ import annotations

import copy
import inspect
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from sklearn.base import clone

import pyimgret
from pyimgret import RBM, Encoder, Network, Preprocessor
from pyimgret.exceptions import ModelFormatError
from pyimgret.jvm import JavaObject, bridge
from pyimgret.jvm.arrays import InputShape
from pyimgret.jvm.network import JavaNetwork
from pyimgret.layers import BatchNormalization, Convolution2D, Dense, GlobalPooling, Output
from pyimgret.models import Model, PlainNetwork
from pyimgret.pretrained import ARCHITECTURES, FineTunedNetwork, PretrainedNetwork
from pyimgret.pretrained.architecture import Row
from pyimgret.pretrained.inverted_residuals import MOBILENET_V2, inverted_residuals

GREY = Preprocessor("L", 16, 16, filter="bicubic", std=(2.0,), max_pixels=10**6)
COLOUR = Preprocessor("RGB", 32, 32, mean=(0.4, 0.5, 0.6), std=(0.2, 0.2, 0.3))
GOLDEN = Path(__file__).parent.parent / "golden" / "models"

#: A value other than the default for every constructor parameter that any kind has.
UNUSUAL: dict[str, Any] = {
    "activation": "tanh",
    "architecture": "narrow",
    "batch_normalization": True,
    "batch_size": 32,
    "channels": [4],
    "class_weight": {0: 2.0, 3: 0.5},
    "code_channels": 3,
    "code_layer": "code",
    "code_learning_rate": 0.002,
    "code_size": 6,
    "convolutions": 2,
    "dense_size": 12,
    "dropout": 0.25,
    "epochs": 2,
    "flip": True,
    "freeze": "block1",
    "head": "centres",
    "hidden": "relu",
    "hidden_size": 8,
    "hidden_sizes": [24, 12],
    "input": "convolutional",
    "k": 2,
    "kernel_size": 3,
    "l2": 1e-4,
    "learning_rate": 0.004,
    "masking": 0.1,
    "mode": "same",
    "momentum": ((0, 0.4), (1, 0.8)),
    "n_components": 6,
    "noise": 0.1,
    "output": "identity",
    "patience": 7,
    "persistent": True,
    "pooling": "gem",
    "preprocessing": GREY,
    "pretraining": "none",
    "random_state": 3,
    "rbm_batch_size": 50,
    "rbm_epochs": 1,
    "rbm_learning_rate": 0.05,
    "rbm_momentum": ((0, 0.4), (1, 0.8)),
    "rbm_weight_decay": 1e-3,
    "rotation": 5.0,
    "sample_visible": True,
    "schedule": "cosine",
    "shift": 1.0,
    "sparsity_cost": 0.2,
    "sparsity_decay": 0.8,
    "sparsity_target": 0.1,
    "tuning_epochs": 1,
    "tuning_rate": 2e-4,
    "optimizer": "nadam",
    "verbose": False,
    "visible": "gaussian",
    "weight_decay": 1e-3,
    "zoom": 0.1,
    "layers": [
        Convolution2D(4, kernel_size=(3, 2), activation="relu", name="maps"),
        BatchNormalization(decay=0.8),
        GlobalPooling(),
        Dense(6, l1=1e-5, name="code"),
        Output(4, "categorical_cross_entropy", "softmax", class_weights=(1.0, 2.0, 1.0, 1.0)),
    ],
}
#: Where the value above is the default, or does not go with the others.
OTHERWISE: dict[str, dict[str, Any]] = {
    "Autoencoder": {"batch_normalization": False},
    "DenoisingAutoencoder": {"batch_normalization": False},
    "RBM": {"learning_rate": 0.002, "hidden": "bernoulli"},
    "RowNet": {"head": "softmax"},
}
KINDS = [
    "Autoencoder",
    "ConvAutoencoder",
    "ConvNet",
    "DeepAutoencoder",
    "DenoisingAutoencoder",
    "FineTunedNetwork",
    "Network",
    "PCA",
    "PlainNetwork",
    "PretrainedNetwork",
    "RBM",
    "RowNet",
    "SVD",
]
#: Kinds that take images in colour.
COLOURED = {"FineTunedNetwork", "PretrainedNetwork"}
SAVED = [kind for kind in KINDS if kind != "RBM"]
#: Kinds that ``fit(X)`` or ``fit(X, y)`` trains.
FITTED = [k for k in KINDS if k not in {"FineTunedNetwork", "PlainNetwork", "PretrainedNetwork"}]

#: Bytes above which joblib maps arrays read-only, which Java must not write into.
MAPPED = 100

NARROW = replace(
    MOBILENET_V2,
    name="narrow",
    preprocessing=COLOUR,
    head=Row(Dense(5, name="logits"), ("pooled",)),
    rows=inverted_residuals([(2, 3, 8, 1, 1), (2, 3, 12, 1, 2)], stem=8, features=16),
)


def estimator(name: str, folder: Path) -> Any:
    """Return an estimator with no parameter at its default, nor a default of its own."""
    kind = PlainNetwork if name == "PlainNetwork" else getattr(pyimgret, name)
    values = UNUSUAL | {"checkpoint": folder / name} | OTHERWISE.get(name, {})
    return kind(**{name: values[name] for name in inspect.signature(kind).parameters})


def trained(model: Any, X: Any, y: Any) -> Any:
    """Train with labels and validation data, where the kind takes them."""
    taken = inspect.signature(model.fit).parameters
    given: dict[str, Any] = {"X_val": X[:20], "y_val": y[:20]}
    return model.fit(X, y, **{name: v for name, v in given.items() if name in taken})


def base_network(**settings: Any) -> PretrainedNetwork:
    """Return a network like a pretrained one, with drawn weights."""
    model = PretrainedNetwork("narrow", **settings)
    shape = InputShape("convolutional", COLOUR.height, COLOUR.width, 3)
    model._build(NARROW, {}, shape)
    return model


def fine_tuned(unfitted: FineTunedNetwork, X: Any, y: Any) -> FineTunedNetwork:
    base = base_network()
    features = base.feature_maps(X, unfitted.frozen_layer).transpose(0, 2, 3, 1)
    return unfitted.fit(base, np.ascontiguousarray(features), y)


def plain_network(folder: Path) -> Model:
    layers = [Dense(6, activation="tanh", name="code"), Output(3, name="out")]
    settings = {
        "seed": 3,
        "updater": {"type": "sgd", "learning_rate": 0.1},
        "input": {"kind": "dense", "size": 256},
        "layers": [layer.to_dict() for layer in layers],
    }
    JavaNetwork.create(settings).write(folder / "plain.zip")
    return pyimgret.load(folder / "plain.zip", code_layer="code", preprocessing=GREY)


@pytest.fixture(scope="module", autouse=True)
def narrow():
    """Let the small network be found by its name, as MobileNetV2 is."""
    patch = pytest.MonkeyPatch()
    patch.setitem(ARCHITECTURES, "narrow", NARROW)
    yield
    patch.undo()


@pytest.fixture(scope="module")
def data(digits, digit_labels) -> tuple[Any, Any]:
    return digits[:120], digit_labels[:120] % 4


@pytest.fixture(scope="module")
def models(data, tmp_path_factory) -> dict[str, Any]:
    """Return one fitted model of every kind."""
    folder = tmp_path_factory.mktemp("checkpoints")
    made: dict[str, Any] = {name: estimator(name, folder) for name in KINDS}
    for name in FITTED:
        trained(made[name], *data)
    made["PlainNetwork"] = plain_network(folder)
    made["PretrainedNetwork"] = base_network(pooling="gem", flip=True)
    fine_tuned(made["FineTunedNetwork"], colours(data[0]), data[1])
    return made


def elsewhere(function: Any, calls: list[tuple[Any, ...]]) -> list[Any]:
    """Call a function in other processes, which all tests share."""
    results: list[Any] = joblib.Parallel(n_jobs=2, max_nbytes=MAPPED)(
        joblib.delayed(function)(*arguments) for arguments in calls
    )
    return results


def colours(X: Any) -> Any:
    return np.repeat(X[..., None], 3, axis=3)


def codes(model: Any, X: Any) -> Any:
    return model.transform(colours(X) if type(model).__name__ in COLOURED else X)


def assert_same(one: Any, other: Any, X: Any) -> None:
    assert type(one) is type(other)
    mine, theirs = one.get_params(), other.get_params()
    assert mine == theirs
    assert {n: type(v) for n, v in mine.items()} == {n: type(v) for n, v in theirs.items()}
    assert repr(one) == repr(other)
    for name in ("history_", "classes_", "labels_", "mean_", "explained_variance_ratio_"):
        assert hasattr(one, name) == hasattr(other, name)
        if hasattr(one, name):
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    np.testing.assert_allclose(codes(one, X), codes(other, X), atol=1e-6)


def test_every_kind_is_among_those_tested() -> None:
    public = {name for name in pyimgret.__all__ if hasattr(getattr(pyimgret, name), "transform")}
    assert public | {"PlainNetwork"} == set(KINDS)
    assert set(SAVED) <= set(Model.kinds)


@pytest.mark.parametrize("name", [k for k in KINDS if k != "PlainNetwork"])
def test_no_parameter_of_tested_model_is_at_its_default(models, name) -> None:
    signature = inspect.signature(type(models[name]).__init__).parameters
    for parameter, value in models[name].get_params().items():
        default = signature[parameter].default
        # NB: an RBM's sparsity needs the hidden units that are the default.
        if (name, parameter) != ("RBM", "hidden"):
            assert type(value) is not type(default) or value != default, parameter


@pytest.mark.parametrize("name", SAVED)
def test_saved_model_keeps_everything(models, name, data, tmp_path) -> None:
    models[name].save(tmp_path / "model.zip")
    loaded = pyimgret.load(tmp_path / "model.zip")
    assert_same(loaded, models[name], data[0])
    encoder, expected = Encoder.load(tmp_path / "model.zip"), Encoder(models[name])
    assert encoder.model_checksum == Encoder(loaded).model_checksum == expected.model_checksum
    X = colours(data[0]) if name in COLOURED else data[0]
    np.testing.assert_allclose(encoder.encode(X), expected.encode(X), atol=1e-6)
    assert_same(encoder.model, models[name], data[0])


@pytest.fixture(scope="module")
def unpickled(models, data, tmp_path_factory) -> Any:
    """Unpickle all models in one other process, where other networks have the handles of these."""
    folder = tmp_path_factory.mktemp("pickles")
    np.save(folder / "X.npy", data[0])
    for name, model in models.items():
        (folder / f"{name}.pickle").write_bytes(pickle.dumps(model))
    elsewhere(_unpickle, [(folder,)])
    return folder


def _unpickle(folder: Path) -> None:
    X = np.load(folder / "X.npy")
    others = [pyimgret.Autoencoder((4,), 3, epochs=1, verbose=False).fit(X[:20]) for _ in range(15)]
    for file in folder.glob("*.pickle"):
        model = pickle.loads(file.read_bytes())
        np.save(file.with_suffix(".npy"), codes(model, X))
        file.with_suffix(".text").write_text(repr(model))
    del others


@pytest.mark.parametrize("name", KINDS)
def test_model_pickled_into_another_process_gives_same_codes(models, name, data, unpickled) -> None:
    expected = codes(models[name], data[0])
    np.testing.assert_allclose(np.load(unpickled / f"{name}.npy"), expected, atol=1e-6)
    assert (unpickled / f"{name}.text").read_text() == repr(models[name])
    assert_same(pickle.loads(pickle.dumps(models[name])), models[name], data[0])


@pytest.mark.parametrize("name", KINDS)
def test_deep_copy_is_equal_and_independent(models, name, data) -> None:
    X = data[0]
    twin = copy.deepcopy(models[name])
    assert_same(twin, models[name], X)
    expected = codes(models[name], X)
    if name == "RBM":
        twin.partial_fit(X)
    else:
        network = twin.java_network
        network.parameters = network.parameters + np.float32(1)
    assert not np.allclose(codes(twin, X), expected)
    np.testing.assert_array_equal(codes(models[name], X), expected)
    if name != "RBM":
        twin.java_network.close()
    del twin
    bridge().call("openHandles")  # releases what was collected
    np.testing.assert_array_equal(codes(models[name], X), expected)


@pytest.mark.parametrize("name", FITTED)
def test_clone_trains_to_same_codes(models, name, data, tmp_path) -> None:
    origin = models[name]
    if name != "RBM":
        origin.save(tmp_path / "model.zip")
        origin = pyimgret.load(tmp_path / "model.zip")
    again = clone(origin)
    if "checkpoint" in again.get_params():
        again.set_params(checkpoint=tmp_path / "run")
    trained(again, *data)
    np.testing.assert_allclose(codes(again, data[0]), codes(models[name], data[0]), atol=1e-6)


@pytest.mark.parametrize("name", KINDS)
def test_unfitted_models_pickle_too(name, tmp_path) -> None:
    model = estimator(name, tmp_path)
    again = pickle.loads(pickle.dumps(model))
    assert again.get_params() == model.get_params()
    assert not hasattr(again, "_network")


def test_encoder_pickles_with_its_model(models, data) -> None:
    encoder = Encoder(models["PCA"], batch_size=7)
    again = pickle.loads(pickle.dumps(encoder))
    assert (again.batch_size, again.model_checksum) == (7, encoder.model_checksum)
    np.testing.assert_allclose(again.encode(data[0]), encoder.encode(data[0]), atol=1e-6)


def test_copy_of_pretrained_stack_keeps_its_rbms(data) -> None:
    settings: dict[str, Any] = {"hidden_sizes": (12,), "code_size": 4, "rbm_epochs": 1}
    model = pyimgret.DeepAutoencoder(**settings, epochs=1, random_state=0, verbose=False)
    model.pretrain(data[0])
    twin = copy.deepcopy(model)
    twin.fine_tune(data[0])
    assert not np.allclose(twin.encode(data[0]), model.encode(data[0]))
    model.fine_tune(data[0])
    np.testing.assert_array_equal(twin.encode(data[0]), model.encode(data[0]))


def test_shallow_copy_of_rbm_trains_by_itself(models, data) -> None:
    expected = models["RBM"].components_.copy()
    copy.copy(models["RBM"]).partial_fit(data[0])
    np.testing.assert_array_equal(models["RBM"].components_, expected)


def test_java_object_refuses_to_be_pickled() -> None:
    handle = JavaObject(0)
    handle._handle = None  # NB: it stands for nothing, so nothing is to be released.
    for way in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="Pickle the model that it belongs to"):
            way(handle)


def test_open_index_refuses_to_be_pickled(tmp_path) -> None:
    with pyimgret.Index.create(tmp_path / "index", dimension=2) as index:
        for way in (pickle.dumps, copy.copy, copy.deepcopy):
            with pytest.raises(TypeError, match=r"Index\.open"):
                way(index)


def test_parameter_that_no_file_can_hold_is_named(data, tmp_path) -> None:
    model = pyimgret.PCA(3, random_state=0).fit(data[0])
    expected = Encoder(model).model_checksum
    model.set_params(random_state=np.random.RandomState(0))
    with pytest.raises(TypeError, match=r"PCA\.random_state cannot be saved.*set_params"):
        model.save(tmp_path / "model.zip")
    assert not (tmp_path / "model.zip").exists()
    assert Encoder(model).model_checksum == expected


@pytest.mark.parametrize(
    "labels",
    [
        np.array(["a", "bc", "d"]),
        np.array(["a", "bc", "d"], dtype=object),
        np.array([3, 5, 200], dtype=np.uint8),
        np.array([0.0, 1.0, 2.0]),
        np.array([False, True]),
    ],
    ids=lambda labels: str(labels.dtype),
)
def test_classes_keep_their_type(labels, data, tmp_path) -> None:
    y = labels[np.arange(len(data[0])) % len(labels)]
    model = pyimgret.RowNet(4, code_size=4, epochs=1, verbose=False).fit(data[0], y)
    model.save(tmp_path / "model.zip")
    loaded = pyimgret.load(tmp_path / "model.zip")
    assert loaded.classes_.dtype == labels.dtype
    assert loaded.classes_.tolist() == labels.tolist()


@pytest.mark.parametrize("file", sorted(GOLDEN.iterdir()), ids=lambda file: file.stem)
def test_files_of_first_version_are_saved_anew(file, tmp_path) -> None:
    model = pyimgret.load(file)
    model.save(tmp_path / "model.zip")
    again = pyimgret.load(tmp_path / "model.zip")
    assert again.get_params() == model.get_params()
    assert Encoder(again).model_checksum == Encoder(model).model_checksum


def test_files_of_first_version_say_what_they_lack(data) -> None:
    model = pyimgret.load(GOLDEN / "convolutional.zip")
    assert model.classes_.tolist() == [0, 1, 2]
    assert model.layers is None
    with pytest.raises(ValueError, match=r"set_params\(layers="):
        clone(model).fit(data[0], data[1])
    assert clone(pyimgret.load(GOLDEN / "conv_net.zip")).class_weight is None


@pytest.mark.parametrize(
    "given", [{"code_layer": 0}, {"preprocessing": GREY}, {"shape": InputShape("dense", 16, 16)}]
)
def test_what_file_says_itself_cannot_be_given(models, given, tmp_path) -> None:
    models["PCA"].save(tmp_path / "model.zip")
    with pytest.raises(ValueError, match=f"says itself how.*{next(iter(given))} can be given"):
        pyimgret.load(tmp_path / "model.zip", **given)


def test_garbled_parameter_is_broken_file(models, tmp_path) -> None:
    import json
    import zipfile

    models["Network"].save(tmp_path / "model.zip")
    with zipfile.ZipFile(tmp_path / "model.zip") as old:
        entries = {name: old.read(name) for name in old.namelist()}
    described = json.loads(entries["pyimgret.json"])
    for strange in (
        {"type": "Popen"},
        {"kind": 1},
        {"type": "array", "dtype": "V9999", "items": []},
    ):
        described["parameters"]["layers"] = strange
        entries["pyimgret.json"] = json.dumps(described).encode()
        with zipfile.ZipFile(tmp_path / "bad.zip", "w") as new:
            for name, content in entries.items():
                new.writestr(name, content)
        with pytest.raises(ModelFormatError, match="lacks or garbles"):
            pyimgret.load(tmp_path / "bad.zip")


def test_cross_validation_returns_live_models_from_other_processes(data) -> None:
    from sklearn.model_selection import StratifiedKFold, cross_validate

    X, y = data
    layers = [Dense(8, name="code"), Output(4, "categorical_cross_entropy", "softmax")]
    mine = Network(layers, epochs=2, random_state=0, verbose=False).fit(X, y)
    expected = mine.encode(X)
    with joblib.parallel_config(max_nbytes=MAPPED):
        result = cross_validate(
            mine, X, y, cv=3, n_jobs=2, return_estimator=True, error_score="raise"
        )
    estimators = result["estimator"]
    found = [one.encode(X) for one in estimators]
    assert not np.allclose(found[0], found[1])
    parts = [part for _, part in StratifiedKFold(3).split(X, y)]
    for one, scored, part in zip(estimators, result["test_score"], parts, strict=True):
        assert one.score(X[part], y[part]) == pytest.approx(scored)
    del estimators, result
    np.testing.assert_array_equal(mine.encode(X), expected)


@pytest.mark.parametrize("name", ["RBM", "PCA", "ConvNet"])
def test_joblib_brings_model_to_its_workers(models, name, data, tmp_path) -> None:
    X = data[0]
    parts = [(models[name], X[part]) for part in (slice(60), slice(60, 120))]
    found = elsewhere(_codes_elsewhere, parts)
    np.testing.assert_allclose(np.concatenate(found), codes(models[name], X), atol=1e-6)
    joblib.dump(models[name], tmp_path / "model.joblib")
    assert_same(joblib.load(tmp_path / "model.joblib"), models[name], X)


def _codes_elsewhere(model: Any, X: Any) -> Any:
    found = codes(model, X)
    if isinstance(model, RBM):
        model.partial_fit(np.array(X))
    return found
