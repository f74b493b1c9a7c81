"""Logs an exported generator to the run's MLflow run, as a model that MLflow can load and serve."""

import hashlib
import tempfile
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.run_folder.folder import RunFolder
from benchmarks.tracking.client import connect, resolve_uri, translate_errors
from benchmarks.tracking.upload import sync

if TYPE_CHECKING:
    import numpy as np

NAME = "generator"


def log_onnx_model(
    folder: RunFolder,
    exported: bytes,
    examples: "Mapping[str, np.ndarray]",
    shape: Sequence[int],
    tracking_uri: str | None = None,
    experiment: str | None = None,
) -> str:
    """Logs an ONNX model as an output of the run, and returns its address, models:/ID; the same model is logged once.

    examples: inputs by name, the first axis the batch. shape: of a sample. Sends the run first, where MLflow does not
    have it. Raises UserError where MLflow cannot be used.

    Does by a client what mlflow.onnx.log_model does, which needs a global address and experiment, and a run that is
    active, whose end it would then move.
    """
    uri, digest = resolve_uri(tracking_uri), hashlib.sha256(exported).hexdigest()
    run_id = sync(folder, tracking_uri, experiment)
    with translate_errors(uri), tempfile.TemporaryDirectory() as place:
        client, experiment_id = connect(uri, experiment)
        import mlflow.onnx
        import numpy as np
        import onnx
        from mlflow.entities import LoggedModelOutput, LoggedModelStatus
        from mlflow.models import Model, ModelSignature
        from mlflow.types import Schema, TensorSpec

        wanted = f"name = '{NAME}' AND source_run_id = '{run_id}' AND tags.sha256 = '{digest}'"
        for known in client.search_logged_models([experiment_id], wanted):
            if known.status == LoggedModelStatus.READY:
                return known.model_uri
        inputs = [TensorSpec(each.dtype, (-1, *each.shape[1:]), name) for name, each in examples.items()]
        outputs = [TensorSpec(np.dtype(np.float32), (-1, *shape), "samples")]
        model = client.create_logged_model(
            experiment_id, NAME, run_id, tags={"sha256": digest, "folder": folder.name}, model_type="onnx"
        )
        mlflow.onnx.save_model(
            onnx.load_from_string(exported),
            path := Path(place) / NAME,
            mlflow_model=Model(
                artifact_path=model.artifact_location, run_id=run_id, model_uuid=model.model_id, model_id=model.model_id
            ),
            signature=ModelSignature(Schema(inputs), Schema(outputs)),
            input_example=dict(examples),
            # Else MLflow would load the model in a process of its own, to see what it imports.
            pip_requirements=[f"{name}=={version(name)}" for name in ("mlflow", "onnx", "onnxruntime", "numpy")],
            # One file, as it was checked.
            save_as_external_data=False,
        )
        client.log_model_artifacts(model.model_id, str(path))
        client.finalize_logged_model(model.model_id, LoggedModelStatus.READY)
        epoch = folder.status().get("epoch", 0)
        client.log_outputs(run_id, [LoggedModelOutput(model.model_id, step=epoch if isinstance(epoch, int) else 0)])
    return model.model_uri
