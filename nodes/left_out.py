"""Node classes of ComfyUI 0.3.64 that Easel leaves out, and why; the reference page lists them.

Easel is for Stable Diffusion 1.x and 2.x, so nodes that only serve other model families are not here.
"""

from collections.abc import Mapping

REASONS: Mapping[str, tuple[str, ...]] = {
    "only for SDXL": (
        "DualCLIPLoader", "CLIPTextEncodeSDXL", "CLIPTextEncodeSDXLRefiner", "PhotoMakerLoader", "PhotoMakerEncode",
        "SetUnionControlNetType", "ModelMergeSDXL",
    ),
    "only for other picture models (SD 3, Flux, Stable Cascade, PixArt, Qwen and others)": (
        "ControlNetInpaintingAliMamaApply", "EmptyChromaRadianceLatentImage", "ChromaRadianceOptions",
        "T5TokenizerOptions", "ReferenceLatent", "CLIPTextEncodeFlux", "FluxGuidance", "FluxDisableGuidance",
        "FluxKontextImageScale", "FluxKontextMultiReferenceLatentMethod", "QuadrupleCLIPLoader",
        "CLIPTextEncodeHiDream", "CLIPTextEncodeHunyuanDiT", "EmptyHunyuanImageLatent", "HunyuanRefinerLatent",
        "LotusConditioning", "CLIPTextEncodeLumina2", "RenormCFG", "ModelSamplingStableCascade", "ModelSamplingSD3",
        "ModelSamplingAuraFlow", "ModelSamplingFlux", "ModelMergeSD3_2B", "ModelMergeAuraflow", "ModelMergeFlux1",
        "ModelMergeSD35_Large", "ModelMergeQwenImage", "ModelPatchLoader", "QwenImageDiffsynthControlnet",
        "USOStyleReference", "OptimalStepsScheduler", "CLIPTextEncodePixArtAlpha", "TextEncodeQwenImageEdit",
        "TextEncodeQwenImageEditPlus", "TripleCLIPLoader", "EmptySD3LatentImage", "CLIPTextEncodeSD3",
        "ControlNetApplySD3", "SkipLayerGuidanceSD3", "SkipLayerGuidanceDiT", "SkipLayerGuidanceDiTSimple",
        "StableCascade_EmptyLatentImage", "StableCascade_StageB_Conditioning", "StableCascade_StageC_VAEEncode",
        "StableCascade_SuperResolutionControlnet", "EasyCache", "LazyCache", "ModelMergeCosmosPredict2_2B",
        "ModelMergeCosmosPredict2_14B",
    ),
    "only for video models": (
        "ImageOnlyCheckpointLoader", "SVD_img2vid_Conditioning", "UNetTemporalAttentionMultiply",
        "VideoLinearCFGGuidance", "VideoTriangleCFGGuidance", "ImageOnlyCheckpointSave",
        "ConditioningSetAreaPercentageVideo", "WanCameraEmbedding", "ContextWindowsManual", "WanContextWindowsManual",
        "EmptyCosmosLatentVideo", "CosmosImageToVideoLatent", "CosmosPredict2ImageToVideoLatent",
        "TextEncodeHunyuanVideo_ImageToVideo", "EmptyHunyuanLatentVideo", "HunyuanImageToVideo",
        "EmptyLTXVLatentVideo", "LTXVImgToVideo", "ModelSamplingLTXV", "LTXVConditioning", "LTXVScheduler",
        "LTXVAddGuide", "LTXVPreprocess", "LTXVCropGuides", "EmptyMochiLatentVideo", "ModelMergeMochiPreview",
        "ModelMergeLTXV", "ModelMergeCosmos7B", "ModelMergeCosmos14B", "ModelMergeWAN2_1", "WanTrackToVideo",
        "WanImageToVideo", "WanFunControlToVideo", "Wan22FunControlToVideo", "WanFunInpaintToVideo",
        "WanFirstLastFrameToVideo", "WanVaceToVideo", "TrimVideoLatent", "WanCameraImageToVideo",
        "WanPhantomSubjectToVideo", "WanSoundImageToVideo", "WanSoundImageToVideoExtend", "WanHuMoImageToVideo",
        "WanAnimateToVideo", "Wan22ImageToVideoLatent", "SaveWEBM", "SaveVideo", "CreateVideo", "GetVideoComponents",
        "LoadVideo",
    ),
    "sound is not a picture": (
        "TextEncodeAceStepAudio", "EmptyAceStepLatentAudio", "EmptyLatentAudio", "VAEEncodeAudio", "VAEDecodeAudio",
        "SaveAudio", "SaveAudioMP3", "SaveAudioOpus", "LoadAudio", "PreviewAudio", "ConditioningStableAudio",
        "RecordAudio", "TrimAudioDuration", "SplitAudioChannels", "AudioConcat", "AudioMerge", "AudioAdjustVolume",
        "EmptyAudio", "AudioEncoderLoader", "AudioEncoderEncode",
    ),
    "only for three-dimensional models": (
        "EmptyLatentHunyuan3Dv2", "Hunyuan3Dv2Conditioning", "Hunyuan3Dv2ConditioningMultiView", "VAEDecodeHunyuan3D",
        "VoxelToMeshBasic", "VoxelToMesh", "SaveGLB", "Load3D", "Load3DAnimation", "Preview3D", "Preview3DAnimation",
        "SV3D_Conditioning",
    ),
    "no node of Easel makes SVG": ("SaveSVGNode",),
    "a browser's camera is no input that a graph can be run with again": ("WebcamCapture",),
    "its 285 lists of noise levels are not published with the method (arXiv:2405.11326)": ("GITSScheduler",),
    "how it turns a camera's place into a conditioning is in no description that Easel could be built from": (
        "StableZero123_Conditioning", "StableZero123_Conditioning_Batched",
    ),
    "compiling a network takes minutes and a C++ compiler; a model's speed is the engine's business":
        ("TorchCompileModel",),
    "training is a command of its own: docs/training.md": (
        "TrainLoraNode", "SaveLoRANode", "LoraModelLoader", "LoadImageSetFromFolderNode",
        "LoadImageTextSetFromFolderNode", "LossGraphNode",
    ),
}

LEFT_OUT: Mapping[str, str] = {name: reason for reason, names in REASONS.items() for name in names}
"""Class name → the reason."""
