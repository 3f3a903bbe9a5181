"""The model card: front matter, provenance, licence."""

from sciml.pipelines.gcm.neural.checkpoint import papers
from sciml.pipelines.gcm.neural.checkpoint.model_card import LICENCE, UNTRAINED, model_card


def test_the_card_says_what_it_is_and_where_it_is_from():
    card = model_card(
        papers.config("neuralgcm-0.7"), {"source": "a.pkl", "sha256": "12ab", "licence": LICENCE}, 31_123_612
    )
    assert card.startswith("---\nlibrary_name: sciml\nlicense: cc-by-sa-4.0\n")
    for words in (
        "deterministic NeuralGCM of 31,123,612",
        "512 x 256",
        "every 30 min, 16 dynamical",
        "`a.pkl`",
        "12ab",
    ):
        assert words in card, words
    assert "CC BY-SA 4.0" in card and "10.1038/s41586-024-07744-y" in card


def test_other_licences_claim_nothing():
    card = model_card(papers.config("neuralgcm-ens-1.4"), {"source": "seed 0", "licence": UNTRAINED}, 1)
    assert "CC BY-SA" not in card and "stochastic" in card and UNTRAINED in card
