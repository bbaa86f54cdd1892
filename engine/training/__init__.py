"""What trains Easel's own models, and what fine-tunes a user's: the scenes, the objectives, the loop, the stages."""
