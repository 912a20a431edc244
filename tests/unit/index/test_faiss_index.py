import numpy as np
import pytest

from index.errors import BadSearchError, NotEnoughVectorsError
from index.faiss_index import FaissConfig, FaissIndex, faiss, lists_for
from index.protocol import IndexConfig
from index.recall import measured_recall
from index.table import VectorTable

N, P, D = 6000, 4, 16


@pytest.fixture(scope="module")
def planted():
    """Items as serving sees them: popularity that grows a long tail, a unit vector near one of 40 themes, a bias."""
    generator = np.random.default_rng(0)
    themes = generator.standard_normal((40, D))
    towers = themes[generator.integers(0, 40, N)] + 0.5 * generator.standard_normal((N, D))
    towers /= np.linalg.norm(towers, axis=1, keepdims=True)
    popular = np.log1p(generator.zipf(1.3, (N, 1)).clip(max=10**5)) * np.linspace(0.3, 1.0, P)
    vectors = np.concatenate([popular, towers, np.ones((N, 1))], axis=1).astype(np.float32)
    taste = themes[generator.integers(0, 40, 64)] + 0.5 * generator.standard_normal((64, D))
    taste *= 15 / np.linalg.norm(taste, axis=1, keepdims=True)
    weights = 0.2 * generator.random((64, P))
    queries = np.concatenate([weights, taste, np.ones((64, 1))], axis=1).astype(np.float32)
    table = VectorTable(IndexConfig(dim=vectors.shape[1]))
    table.upsert(np.arange(N), vectors)
    return table, vectors, queries


def rms(queries):
    return np.sqrt(np.mean(np.square(queries), axis=0))


def test_lists_weighed_and_lifted_find_what_plain_inner_product_lists_lose(planted):
    table, vectors, queries = planted
    index = FaissIndex.build(
        np.arange(N), vectors, FaissConfig(probes_count=12, device="cpu"), query_rms=rms(queries[:32])
    )
    plain = faiss.index_factory(vectors.shape[1], f"IVF{index.lists_count},Flat", faiss.METRIC_INNER_PRODUCT)
    plain.train(vectors)
    plain.add(vectors)
    _, found = plain.search(queries[32:], 50, params=faiss.SearchParametersIVF(nprobe=12))
    wanted = table.search(queries[32:], 50).rows
    lost = np.mean([len(set(a) & set(b)) / 50 for a, b in zip(found.tolist(), wanted.tolist(), strict=True)])
    ours = measured_recall(index, table, queries[32:], 50)
    assert lost < 0.7
    assert ours > 0.97


def test_vectors_of_very_different_lengths_are_found():
    generator = np.random.default_rng(0)
    directions = generator.standard_normal((N, 8))
    vectors = (directions * np.exp(generator.standard_normal((N, 1)))).astype(np.float32)
    table = VectorTable(IndexConfig(dim=8))
    table.upsert(np.arange(N), vectors)
    index = FaissIndex.build(np.arange(N), vectors, FaissConfig(probes_count=32, device="cpu"))
    recall_unlifted = 0.2  # measured with every vector left at its own length
    assert measured_recall(index, table, generator.standard_normal((64, 8), dtype=np.float32), 50) > 4 * recall_unlifted


def test_more_probes_find_more_until_everything_is_found(planted):
    table, vectors, queries = planted
    index = FaissIndex.build(np.arange(N), vectors, FaissConfig(probes_count=1, device="cpu"))
    recalls = [measured_recall(index.with_probes(count), table, queries, 50) for count in (1, 8, 10_000)]
    assert recalls[0] < recalls[1] < recalls[2] == 1.0
    assert index.with_probes(10_000).probes_count == index.lists_count


def test_the_same_seed_gives_the_same_lists(planted):
    _, vectors, queries = planted
    first, second = (
        FaissIndex.build(np.arange(N), vectors, FaissConfig(probes_count=2, device="cpu")) for _ in range(2)
    )
    np.testing.assert_array_equal(first.search(queries, 20).rows, second.search(queries, 20).rows)


def test_refilling_keeps_lists_and_probes_and_finds_what_grew_longer(planted):
    table, vectors, queries = planted
    trained = FaissIndex.build(np.arange(N), vectors, FaissConfig(device="cpu")).with_probes(33)
    longer = VectorTable(IndexConfig(dim=vectors.shape[1]))
    longer.upsert(np.arange(N), 3 * vectors)  # beyond the length that the lists were trained for
    refilled = FaissIndex.build(np.arange(N), 3 * vectors, FaissConfig(device="cpu"), like=trained)
    assert refilled.probes_count == 33
    assert refilled.lists_count == trained.lists_count
    assert measured_recall(refilled.with_probes(10_000), longer, queries, 50) == 1.0
    assert measured_recall(trained.with_probes(10_000), table, queries, 50) == 1.0


def test_rows_hidden_by_either_way_give_the_same_answer(planted):
    _, vectors, queries = planted
    mask = np.random.default_rng(3).random(N) < 0.1
    answers = []
    for way in ("selector", "overfetch"):
        index = FaissIndex.build(np.arange(N), vectors, FaissConfig(kind="flat", device="cpu", mask_by=way))
        answers.append(index.search(queries, 40, mask=mask).rows)
    np.testing.assert_array_equal(answers[0], answers[1])
    assert mask[answers[0]].all()


@pytest.mark.parametrize(
    ("count", "lists"), [(1, 1), (39, 1), (100, 2), (10_000, 256), (100_000, 1264), (1_000_000, 4000)]
)
def test_lists_grow_with_the_root_and_are_never_starved(count, lists):
    assert lists_for(count, FaissConfig()) == lists


def test_building_from_nothing_is_refused():
    with pytest.raises(NotEnoughVectorsError, match="at least 1 vector, got 0"):
        FaissIndex.build(np.zeros(0, np.int32), np.zeros((0, 3), np.float32), FaissConfig())


@pytest.mark.skipif(faiss.get_num_gpus() > 0, reason="this machine has the GPU that the test must lack")
def test_a_gpu_that_is_not_there_is_refused():
    with pytest.raises(BadSearchError, match="needs a GPU"):
        FaissIndex.build(np.zeros(1, np.int32), np.ones((1, 3), np.float32), FaissConfig(device="gpu"))
