from __future__ import annotations

import pytest

from limner.models.nets.aliases import canonical_names


@pytest.mark.parametrize(
    ("part", "stored", "name"),
    [
        ("vae", "decoder.mid_block.attentions.0.query.weight", "decoder.mid_block.attentions.0.to_q.weight"),
        ("vae", "encoder.mid_block.attentions.0.key.bias", "encoder.mid_block.attentions.0.to_k.bias"),
        ("vae", "encoder.mid_block.attentions.0.value.bias", "encoder.mid_block.attentions.0.to_v.bias"),
        ("vae", "decoder.mid_block.attentions.0.proj_attn.weight", "decoder.mid_block.attentions.0.to_out.0.weight"),
        ("vae", "decoder.mid_block.attentions.0.to_q.weight", "decoder.mid_block.attentions.0.to_q.weight"),
        ("vae", "text_model.x", "text_model.x"),
        ("unet", "conv_in.weight", "conv_in.weight"),
        ("unet", "_orig_mod.conv_in.weight", "conv_in.weight"),
        ("unet", "module.conv_in.weight", "conv_in.weight"),
        ("unet", "mid_block.attentions.0.query.weight", "mid_block.attentions.0.query.weight"),
        ("unet", "position_ids", "position_ids"),
        ("text_encoder", "text_model.final_layer_norm.bias", "final_layer_norm.bias"),
        ("text_encoder", "final_layer_norm.bias", "final_layer_norm.bias"),
        ("text_encoder", "text_model.embeddings.position_ids", None),
        ("text_encoder", "embeddings.position_ids", None),
        ("text_encoder", "text_projection.weight", None),
        ("text_encoder", "vision_model.embeddings.class_embedding", None),
        ("text_encoder", "logit_scale", None),
        ("text_encoder_2", "text_projection.weight", "text_projection.weight"),
        ("text_encoder_2", "text_model.final_layer_norm.bias", "final_layer_norm.bias"),
        ("text_encoder_2", "text_model.embeddings.position_ids", None),
        ("text_encoder", "surprise.weight", "surprise.weight"),
    ],
)
def test_stored_names(part: str, stored: str, name: str | None) -> None:
    assert canonical_names(part, [stored]) == {stored: name}
