"""Accuracies that other papers print, to be read beside ours and never ranked with them.

All are secondary: as papers quote each other. One source gives a method 45 % under PGD-7 where
three others measured 20 to 23 %, so that only models attacked side by side can be compared.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Published:
    """Accuracies in percent under L-infinity attacks at epsilon 8/255, None where not quoted.

    pgd: PGD-7 with step 2.55/255 unless `pgd_note` says otherwise; where no exact number is quoted,
    the note stands alone. stronger: what stronger attacks left, in words.
    """

    dataset: str
    method: str
    setting: str
    clean: float | None
    fgsm: float | None
    pgd: float | None
    pgd_note: str = ""
    stronger: str = ""


# The data sets whose published numbers stand beside ours on one of our data sets.
BESIDE = {"cifar10": ("cifar10", "cifar100"), "imagenette": ("imagenet", "tiny-imagenet")}
LABELS = {
    "cifar10": "CIFAR-10",
    "cifar100": "CIFAR-100",
    "imagenet": "ImageNet",
    "tiny-imagenet": "Tiny-ImageNet",
}
_WU = "Wu et al. 2024; network, T and training not stated where quoted"

PUBLISHED = (
    Published(
        "cifar10",
        "RSC-SNN",
        _WU,
        82.03,
        54.52,
        39.98,
    ),
    Published(
        "cifar10", "the ANN of RSC-SNN", "the same; not stated where quoted", None, 10.89, None
    ),
    Published("cifar10", "RAT", "VGG11, T = 8, adversarially trained", 91.41, 45.00, 22.95),
    Published(
        "cifar10",
        "SR (sparse gradients)",
        "VGG11, T = 8, adversarially trained",
        88.26,
        44.28,
        28.63,
    ),
    Published("cifar10", "MPD-SGR", "VGG11, T = 8, adversarially trained", 90.69, 59.27, 33.38),
    Published(
        "cifar10",
        "AT",
        "VGG11, T = 4, adversarially trained",
        90.56,
        37.88,
        20.01,
        stronger="AutoAttack 6.25",
    ),
    Published(
        "cifar10",
        "TG-Reg",
        "VGG11, T = 4, adversarially trained",
        89.45,
        48.64,
        31.12,
        stronger="AutoAttack 8.76",
    ),
    Published(
        "cifar10",
        "MPPD-TV",
        "VGG11, T = 8, DLIF neurons, adversarially trained",
        86.11,
        51.89,
        41.15,
        "PGD-20",
        "AutoAttack 23.04",
    ),
    Published("cifar10", "RAT+TGO", "WRN16, T = 4", 87.33, 69.16, 47.69, "PGD-10", "PGD-40 33.13"),
    Published("cifar10", "RandHet-SNN", "not stated where quoted", 90.25, 53.53, 44.86, "PGD-10"),
    Published(
        "cifar10",
        "AT, attacked through an adaptive surrogate",
        "adversarially trained (5-step PGD); network not stated where quoted",
        None,
        None,
        None,
        stronger="APGD 24.6; ASSG with SA-PGD 11.6",
    ),
    Published(
        "cifar10",
        "rate coding (Poisson), a single pass",
        "Mukhoty et al. 2024; network, T and training not stated where quoted",
        79.55,
        None,
        None,
    ),
    Published(
        "cifar10", "rate coding (Poisson), a vote over 10 passes", "the same", 83.22, None, None
    ),
    Published("cifar100", "RSC-SNN", _WU, None, 34.89, None, "about 26"),
    Published("cifar100", "the ANN of RSC-SNN", "the same", None, 4.56, None),
    Published("imagenet", "RSC-SNN", _WU, None, None, None, "about 9; epsilon not stated"),
    Published("tiny-imagenet", "RSC coding", "VGG16", 47.47, 22.63, 13.75),
    Published("tiny-imagenet", "Poisson coding", "VGG16", 48.14, 6.79, 2.68),
    Published("tiny-imagenet", "direct coding", "VGG16", 57.90, 2.04, 0.01),
)
