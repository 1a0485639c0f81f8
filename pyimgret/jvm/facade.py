"""The static methods of ``org.pyimgret.bridge``, by class, name and JNI signature.

Declared here instead of by reflection: calls are then unambiguous, take less than a
microsecond, and do not use pyjnius's selection of overloads.
"""

from __future__ import annotations

from pyimgret.choices import names
from pyimgret.jvm.threads import BULK, TRAINING

_STRING = "Ljava/lang/String;"

#: Method name -> JNI signature; a test compares it with the Java class.
SIGNATURES: dict[str, str] = {
    "createNetwork": f"({_STRING})J",
    "restoreNetwork": f"({_STRING}Z)J",
    "readMetadata": f"({_STRING}){_STRING}",
    "outputShape": f"(J{_STRING}{_STRING}){_STRING}",
    "saveNetwork": f"(J{_STRING}Z)V",
    "configuration": f"(J){_STRING}",
    "describe": f"(J){_STRING}",
    "getParameters": "(JJ)V",
    "setParameters": "(JJ)V",
    "getParameter": f"(J{_STRING}J)V",
    "setParameter": f"(J{_STRING}J)V",
    "updaterStateLength": "(J)J",
    "getUpdaterState": "(JJ)V",
    "setUpdaterState": "(JJII)V",
    "iterationCount": "(J)I",
    "activate": f"(J{_STRING}I{_STRING}IJJ)V",
    "createTrainer": f"(J{_STRING})J",
    "trainerIterations": "(J)I",
    "trainEpoch": f"(JJIJ){_STRING}",
    "trainerLoss": "(J)D",
    "release": "(J)V",
    "openHandles": "()I",
    "javaNetwork": "(J)Ljava/lang/Object;",
}

_SYSTEM: dict[str, str] = {
    "limitMemory": "(J)V",
    "watchStopFlag": "(J)V",
    "multiply": "(JJJIII)V",
    "convolve": "(JJJIII)V",
    "info": f"(){_STRING}",
}

_RBM: dict[str, str] = {
    "rbmEpoch": f"({_STRING}J){_STRING}",
    "rbmHidden": f"({_STRING}J)V",
    "rbmVisible": f"({_STRING}J)V",
    "rbmGibbs": f"({_STRING}IJJ)V",
    "rbmFreeEnergy": f"({_STRING}J)V",
}

#: Facade class -> its methods; method names are unique across classes.
FACADES: dict[str, dict[str, str]] = {
    "org/pyimgret/bridge/Bridge": SIGNATURES,
    "org/pyimgret/bridge/RbmBridge": _RBM,
    "org/pyimgret/bridge/SystemBridge": _SYSTEM,
}

#: Methods that may take long -> the thread that they run on; all others are short.
THREADS = {
    **dict.fromkeys(_RBM, BULK),
    **dict.fromkeys(names("activate createNetwork createTrainer restoreNetwork saveNetwork"), BULK),
    **dict.fromkeys(names("trainEpoch trainerLoss rbmEpoch"), TRAINING),
}
