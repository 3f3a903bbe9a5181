"""Logits of objects: their views, and what is absent."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from sciml.pipelines.galaxy.logits import predict_logits

from .test_train import SETTINGS, learnable, made


@pytest.fixture(scope="module")
def fusion():
    return made("fusion", replace(SETTINGS, fusion="verdicts"))


def test_views_of_a_prediction():
    trainer = made("image")
    logits = predict_logits(trainer.model, trainer.feed, np.arange(5), views=8)
    assert logits.shape == (5, 8, 2) and logits.dtype == np.float64
    np.testing.assert_array_equal(logits[:, :1], predict_logits(trainer.model, trainer.feed, np.arange(5)))
    assert predict_logits(trainer.model, trainer.feed, np.array([], int)).shape == (0, 1, 2)


def test_batches_do_not_show(fusion):
    whole = predict_logits(fusion.model, fusion.feed, np.arange(9), views=2)
    np.testing.assert_allclose(predict_logits(fusion.model, fusion.feed, np.arange(9), views=2, batch=4), whole, atol=1e-5)


def test_a_row_without_values_is_no_row(fusion):
    """The verdict is then that of the image alone."""
    catalog = learnable()
    table = catalog.table.astype(float)
    table.iloc[2] = np.nan
    trainer = made("fusion", replace(SETTINGS, fusion="verdicts"), catalog=replace(catalog, table=table))
    model, feed = trainer.model.eval(), trainer.feed
    found = predict_logits(model, feed, np.array([2, 3]))[:, 0]
    with torch.no_grad():
        sample = feed.ready(feed.sample(torch.tensor([2, 3])))
        image, row = model.head.each(model.embed(sample.image, sample.table))
        np.testing.assert_allclose(found[0], image.logits[0], atol=1e-5)
        np.testing.assert_allclose(found[1], (image.logits + row.logits - model.head.log_prior)[1], atol=1e-5)
