"""The errors a user can cause. `str(error)` is one sentence for the person who made the mistake."""

from __future__ import annotations


class RscSnnError(Exception):
    """Base of all errors that are shown to the user as a sentence, never as a traceback."""


class ConfigError(RscSnnError):
    """A configuration or a parameter is wrong."""


class OtherImagesError(ConfigError):
    """A run began with other training images than those that are at hand."""


class SettingsError(ConfigError):
    """A limit of the app is set to what it cannot be."""


class DataError(RscSnnError):
    """A data set is missing, damaged or not what it says it is."""


class ImageError(RscSnnError):
    """An image cannot be used."""


class PaintError(RscSnnError):
    """A painted pattern cannot be read, or does not fit its photograph."""


class ZooError(RscSnnError):
    """A pretrained model is missing, damaged or of another version."""


class AttackError(RscSnnError):
    """An attack is unknown or its parameters are wrong."""


class SceneError(RscSnnError):
    """A scene, or the file that holds it, cannot be used."""


class SweepError(RscSnnError):
    """A sweep, its file or its store cannot be used."""


class StoreWaitError(SweepError):
    """The store of a sweep cannot be written just now: it is locked, or its disk is full."""


class DeviceMemoryError(RscSnnError):
    """The computation does not fit into the device's memory."""


class Cancelled(RscSnnError):
    """The user cancelled the computation."""
