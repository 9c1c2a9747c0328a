"""The sources of the Gaussian process."""

from __future__ import annotations

from typing import Final

from framework.core.part import Paper

DDPM: Final = Paper(
    "Denoising Diffusion Probabilistic Models",
    """@inproceedings{ho2020denoising,
  title     = {Denoising Diffusion Probabilistic Models},
  author    = {Ho, Jonathan and Jain, Ajay and Abbeel, Pieter},
  booktitle = {Advances in Neural Information Processing Systems},
  volume    = {33},
  year      = {2020}
}""",
)

DDIM: Final = Paper(
    "Denoising Diffusion Implicit Models",
    """@inproceedings{song2021denoising,
  title     = {Denoising Diffusion Implicit Models},
  author    = {Song, Jiaming and Meng, Chenlin and Ermon, Stefano},
  booktitle = {International Conference on Learning Representations},
  year      = {2021}
}""",
)

IMPROVED_DDPM: Final = Paper(
    "Improved Denoising Diffusion Probabilistic Models",
    """@inproceedings{nichol2021improved,
  title     = {Improved Denoising Diffusion Probabilistic Models},
  author    = {Nichol, Alexander Quinn and Dhariwal, Prafulla},
  booktitle = {International Conference on Machine Learning},
  year      = {2021}
}""",
)

DPM_SOLVER_PLUS_PLUS: Final = Paper(
    "DPM-Solver++: Fast Solver for Guided Sampling of Diffusion Probabilistic Models",
    """@article{lu2022dpmsolverpp,
  title   = {{DPM-Solver++}: Fast Solver for Guided Sampling of Diffusion Probabilistic Models},
  author  = {Lu, Cheng and Zhou, Yuhao and Bao, Fan and Chen, Jianfei and Li, Chongxuan and Zhu, Jun},
  journal = {arXiv preprint arXiv:2211.01095},
  year    = {2022}
}""",
)

SELF_CONDITIONING: Final = Paper(
    "Analog Bits: Generating Discrete Data using Diffusion Models with Self-Conditioning",
    """@inproceedings{chen2023analog,
  title     = {Analog Bits: Generating Discrete Data using Diffusion Models with Self-Conditioning},
  author    = {Chen, Ting and Zhang, Ruixiang and Hinton, Geoffrey},
  booktitle = {International Conference on Learning Representations},
  year      = {2023}
}""",
)

MIN_SNR: Final = Paper(
    "Efficient Diffusion Training via Min-SNR Weighting Strategy",
    """@inproceedings{hang2023efficient,
  title     = {Efficient Diffusion Training via Min-{SNR} Weighting Strategy},
  author    = {Hang, Tiankai and Gu, Shuyang and Li, Chen and Bao, Jianmin and Chen, Dong and Hu, Han and Geng, Xin
               and Guo, Baining},
  booktitle = {International Conference on Computer Vision},
  year      = {2023}
}""",
)

GAUSSIAN: Final = (DDPM, DDIM, IMPROVED_DDPM, DPM_SOLVER_PLUS_PLUS, SELF_CONDITIONING, MIN_SNR)
