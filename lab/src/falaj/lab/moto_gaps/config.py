"""AWS Config: how often a recorder records is kept; moto drops it."""

from typing import Any

from moto.config.models import ConfigBackend, ConfigRecorder

_CONTINUOUS = {"recordingFrequency": "CONTINUOUS"}


def keep_recording_mode() -> None:
    """Let PutConfigurationRecorder keep the recording mode, which is continuous when nobody says otherwise."""
    put, told = ConfigBackend.put_configuration_recorder, ConfigRecorder.to_dict

    def put_configuration_recorder(self: ConfigBackend, config_recorder: dict[str, Any]) -> None:
        put(self, config_recorder)
        recorder: Any = self.recorders[config_recorder["name"]]
        recorder.kept_mode = config_recorder.get("recordingMode") or _CONTINUOUS

    def to_dict(self: ConfigRecorder) -> dict[str, Any]:
        answer = told(self)
        answer.pop("keptMode", None)
        return answer | {"recordingMode": vars(self).get("kept_mode", _CONTINUOUS)}

    ConfigBackend.put_configuration_recorder = put_configuration_recorder
    ConfigRecorder.to_dict = to_dict
