"""scikit-learn, which dispatches by the array API."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from agreement import agree, attributes

sklearn = pytest.importorskip("sklearn")

from sklearn import (  # noqa: E402
    calibration,
    decomposition,
    discriminant_analysis,
    kernel_approximation,
    linear_model,
    metrics,
    mixture,
    model_selection,
    naive_bayes,
    pipeline,
    preprocessing,
)


@pytest.fixture(autouse=True)
def dispatch() -> Iterator[None]:
    with sklearn.config_context(array_api_dispatch=True):
        yield


def samples(count: int = 60, features: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Three clouds of points, and which each is of."""
    random = np.random.default_rng(0)
    labels = np.arange(count) % 3
    centers = 4 * random.standard_normal((3, features))
    return centers[labels] + random.standard_normal((count, features)), labels


POINTS, LABELS = samples()
BINARY = (LABELS > 0).astype(int)
PROBABILITIES = 1 / (1 + np.exp(-POINTS @ np.array([0.2, -0.1, 0.3, 0.1])))  # of BINARY
SHARES = np.abs(POINTS[:, :3]) / np.abs(POINTS[:, :3]).sum(axis=1, keepdims=True)  # of LABELS
TARGET = POINTS @ np.array([1.0, -2.0, 0.5, 3.0]) + 0.1 * np.sin(np.arange(60.0))


@pytest.mark.parametrize(
    ("make", "fitted"),
    [
        (preprocessing.StandardScaler, ("mean_", "var_", "scale_")),
        (preprocessing.MinMaxScaler, ("data_min_", "data_max_", "scale_", "min_")),
        (preprocessing.MaxAbsScaler, ("max_abs_", "scale_")),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_scalers(make: Any, fitted: tuple[str, ...], dtype: str) -> None:
    def work(x: Any) -> Any:
        scaler = make().fit(x)
        scaled = scaler.transform(x)
        return attributes(scaler, fitted), scaled, scaler.inverse_transform(scaled)

    tolerance = 1e-12 if dtype == "float64" else 2e-5
    agree(work, POINTS.astype(dtype), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("make", [preprocessing.Normalizer, preprocessing.Binarizer, preprocessing.PolynomialFeatures])
def test_transformers(make: Any) -> None:
    agree(lambda x: make().fit_transform(x), POINTS)


def test_scaling_in_parts_and_by_weights() -> None:
    def work(x: Any, weights: Any) -> Any:
        partial = preprocessing.StandardScaler().partial_fit(x).partial_fit(x + 1)
        weighted = preprocessing.StandardScaler().fit(x, sample_weight=weights)
        clipped = preprocessing.MinMaxScaler((-1, 2), clip=True).fit(x)
        return attributes(partial, ("mean_", "var_")), weighted.transform(x), clipped.transform(2 * x)

    agree(work, POINTS, PROBABILITIES)


def test_labels() -> None:
    def work(labels: Any) -> Any:
        encoder = preprocessing.LabelEncoder().fit(labels)
        encoded = encoder.transform(labels)
        return encoder.classes_, encoded, encoder.inverse_transform(encoded)

    agree(work, LABELS * 10 + 5)


@pytest.mark.parametrize("solver", ["full", "covariance_eigh"])
def test_pca(solver: str) -> None:
    def work(x: Any) -> Any:
        pca = decomposition.PCA(n_components=2, svd_solver=solver).fit(x)
        moved = pca.transform(x)
        fitted = attributes(pca, ("components_", "explained_variance_", "explained_variance_ratio_", "mean_"))
        return fitted, moved, pca.inverse_transform(moved), pca.get_covariance(), pca.score(x)

    agree(work, POINTS, rtol=1e-6, atol=1e-8)


def test_ridge() -> None:
    def work(x: Any, y: Any) -> Any:
        model = linear_model.Ridge(alpha=0.5, solver="svd").fit(x, y)
        return model.coef_, model.intercept_, model.predict(x), model.score(x, y)

    agree(work, POINTS, TARGET)


def test_logistic_regression() -> None:
    def work(x: Any, y: Any) -> Any:
        model = linear_model.LogisticRegression(solver="lbfgs", tol=1e-8, max_iter=500).fit(x, y)
        return model.coef_, model.intercept_, model.predict(x), model.predict_proba(x), model.decision_function(x)

    agree(work, POINTS, LABELS, rtol=1e-3, atol=1e-4)


def test_linear_discriminant_analysis() -> None:
    def work(x: Any, y: Any) -> Any:
        model = discriminant_analysis.LinearDiscriminantAnalysis(solver="svd").fit(x, y)
        fitted = attributes(model, ("means_", "priors_", "xbar_", "classes_", "explained_variance_ratio_"))
        return fitted, model.predict(x), model.predict_proba(x)

    agree(work, POINTS, LABELS, rtol=1e-6)


def test_naive_bayes() -> None:
    def work(x: Any, y: Any) -> Any:
        model = naive_bayes.GaussianNB().fit(x, y)
        return attributes(model, ("theta_", "var_", "class_prior_")), model.predict(x), model.predict_log_proba(x)

    agree(work, POINTS, LABELS)


def test_gaussian_mixture() -> None:
    means = np.stack([POINTS[label == LABELS].mean(axis=0) for label in range(3)])
    weights, precisions = np.full(3, 1 / 3), np.stack([np.eye(4)] * 3)

    def work(x: Any, weights: Any, means: Any, precisions: Any) -> Any:
        model = mixture.GaussianMixture(
            3, init_params="random", means_init=means, weights_init=weights, precisions_init=precisions, random_state=0
        ).fit(x)
        return attributes(model, ("means_", "covariances_", "weights_")), model.predict(x), model.score(x)

    agree(work, POINTS, weights, means, precisions, rtol=1e-5)


@pytest.mark.parametrize("covariance", ["tied", "diag", "spherical"])
def test_covariances_of_mixtures(covariance: str) -> None:
    def work(x: Any) -> Any:
        model = mixture.GaussianMixture(
            2, covariance_type=covariance, init_params="random_from_data", random_state=0
        ).fit(x)
        return attributes(model, ("means_", "covariances_")), model.bic(x), model.aic(x)

    agree(work, POINTS, rtol=1e-5)


# Of points, labels, labels of two kinds, and numbers between 0 and 1. What has a sign of no meaning is given without.
ESTIMATORS: dict[str, Callable[[Any, Any, Any, Any], Any]] = {
    "PCA_whiten": lambda x, y, b, p: abs(decomposition.PCA(2, svd_solver="full", whiten=True).fit_transform(x)),
    "PCA_share": lambda x, y, b, p: abs(decomposition.PCA(0.9, svd_solver="full").fit_transform(x)),
    "Ridge_weights": lambda x, y, b, p: linear_model.Ridge(solver="svd").fit(x, x[:, 0], sample_weight=p).coef_,
    "Ridge_targets": lambda x, y, b, p: linear_model.Ridge(solver="svd").fit(x, x[:, :2]).predict(x),
    "RidgeCV": lambda x, y, b, p: attributes(linear_model.RidgeCV((0.1, 1.0, 10.0)).fit(x, p), ("alpha_", "coef_")),
    "RidgeClassifier": lambda x, y, b, p: linear_model.RidgeClassifier(solver="svd").fit(x, y).predict(x),
    "RidgeClassifierCV": lambda x, y, b, p: linear_model.RidgeClassifierCV().fit(x, b).decision_function(x),
    "LogisticRegression": lambda x, y, b, p: linear_model.LogisticRegression(tol=1e-8).fit(x, b).predict(x),
    "LDA": lambda x, y, b, p: abs(discriminant_analysis.LinearDiscriminantAnalysis().fit(x, y).transform(x)),
    "GaussianNB": lambda x, y, b, p: naive_bayes.GaussianNB().fit(x, y, sample_weight=p).predict_proba(x),
    "Nystroem": lambda x, y, b, p: kernel_approximation.Nystroem(n_components=5, random_state=0).fit_transform(x),
    "KernelCenterer": lambda x, y, b, p: preprocessing.KernelCenterer().fit_transform(x @ x.T),
    "LabelBinarizer": lambda x, y, b, p: preprocessing.LabelBinarizer().fit_transform(y),
    "calibrated": lambda x, y, b, p: (
        calibration.CalibratedClassifierCV(linear_model.RidgeClassifier(solver="svd"), method="temperature", cv=3)
        .fit(x, b)
        .predict_proba(x)
    ),
    "cross_val_predict": lambda x, y, b, p: model_selection.cross_val_predict(linear_model.Ridge(solver="svd"), x, p),
    "GridSearchCV": lambda x, y, b, p: (
        model_selection.GridSearchCV(linear_model.Ridge(solver="svd"), {"alpha": [0.1, 1.0]}, cv=3)
        .fit(x, p)
        .best_params_
    ),
    "stratified": lambda x, y, b, p: model_selection.train_test_split(x, y, stratify=y, random_state=0),
}


@pytest.mark.parametrize("name", ESTIMATORS)
def test_estimators(name: str) -> None:
    agree(ESTIMATORS[name], POINTS, LABELS, BINARY, PROBABILITIES, rtol=1e-5)


def test_pipeline() -> None:
    def work(x: Any, y: Any) -> Any:
        steps = [
            preprocessing.StandardScaler(),
            decomposition.PCA(3, svd_solver="full"),
            linear_model.Ridge(solver="svd"),
        ]
        return pipeline.make_pipeline(*steps).fit(x, y).predict(x)

    agree(work, POINTS, TARGET)


def test_split() -> None:
    agree(lambda x, y: model_selection.train_test_split(x, y, random_state=0), POINTS, LABELS)


CLASSES = [metrics.accuracy_score, metrics.zero_one_loss, metrics.confusion_matrix]
VALUES = [
    metrics.r2_score,
    metrics.mean_squared_error,
    metrics.mean_absolute_error,
    metrics.explained_variance_score,
    metrics.max_error,
    metrics.mean_absolute_percentage_error,
    metrics.d2_tweedie_score,
]
PAIRWISE = [
    metrics.pairwise.euclidean_distances,
    metrics.pairwise.cosine_similarity,
    metrics.pairwise.linear_kernel,
    metrics.pairwise.rbf_kernel,
    metrics.pairwise.polynomial_kernel,
    metrics.pairwise.sigmoid_kernel,
    metrics.pairwise.additive_chi2_kernel,
    metrics.pairwise.chi2_kernel,
    metrics.pairwise.cosine_distances,
    metrics.pairwise.laplacian_kernel,
    metrics.pairwise.manhattan_distances,
]


OF_TWO_CLASSES = [
    metrics.balanced_accuracy_score,
    metrics.cohen_kappa_score,
    metrics.hamming_loss,
    metrics.jaccard_score,
    metrics.matthews_corrcoef,
    metrics.multilabel_confusion_matrix,
    metrics.precision_recall_fscore_support,
    metrics.precision_score,
    metrics.recall_score,
    metrics.adjusted_rand_score,
    metrics.mutual_info_score,
]
OF_PROBABILITIES = [
    metrics.average_precision_score,
    metrics.brier_score_loss,
    metrics.det_curve,
    metrics.log_loss,
    metrics.precision_recall_curve,
    metrics.roc_auc_score,
    metrics.roc_curve,
]
OF_POSITIVE_VALUES = [
    metrics.mean_gamma_deviance,
    metrics.mean_pinball_loss,
    metrics.mean_poisson_deviance,
    metrics.mean_squared_log_error,
    metrics.median_absolute_error,
    metrics.root_mean_squared_error,
]


@pytest.mark.parametrize("metric", OF_TWO_CLASSES, ids=lambda metric: metric.__name__)
def test_metrics_of_two_classes(metric: Callable[..., Any]) -> None:
    agree(metric, BINARY, (PROBABILITIES > 0.4).astype(int))


@pytest.mark.parametrize("metric", OF_PROBABILITIES, ids=lambda metric: metric.__name__)
def test_metrics_of_probabilities(metric: Callable[..., Any]) -> None:
    agree(metric, BINARY, PROBABILITIES)


def test_log_loss_of_several_classes() -> None:
    agree(metrics.log_loss, LABELS, SHARES)


@pytest.mark.parametrize("metric", OF_POSITIVE_VALUES, ids=lambda metric: metric.__name__)
def test_metrics_of_positive_values(metric: Callable[..., Any]) -> None:
    agree(metric, PROBABILITIES + 0.1, PROBABILITIES**2 + 0.2)


@pytest.mark.parametrize("metric", CLASSES, ids=lambda metric: metric.__name__)
def test_metrics_of_classes(metric: Callable[..., Any]) -> None:
    agree(metric, LABELS, np.roll(LABELS, 7) * (LABELS > 0))


@pytest.mark.parametrize("average", ["micro", "macro", "weighted"])
def test_f1(average: str) -> None:
    agree(lambda y, z: metrics.f1_score(y, z, average=average), LABELS, np.where(TARGET > 0, LABELS, 1))


@pytest.mark.parametrize("metric", VALUES, ids=lambda metric: metric.__name__)
def test_metrics_of_values(metric: Callable[..., Any]) -> None:
    agree(metric, TARGET, TARGET + 0.1 * np.cos(np.arange(60.0)))


@pytest.mark.parametrize("metric", PAIRWISE, ids=lambda metric: metric.__name__)
def test_pairwise(metric: Callable[..., Any]) -> None:
    agree(metric, np.abs(POINTS[:20]), np.abs(POINTS[20:35]))
