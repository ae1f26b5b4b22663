"""Writes skips.txt: the layers that the 4-bit quantizer of transformers skips, for every class for text, speech and encoders.

pip install torch==2.15.0 transformers==5.24.0; python skips.py    (four minutes on a CPU)

A line has a class, its model_type, its _keep_in_fp32_modules, its output layers, and linear layers: `~` after a name means that it has a
bias, `!` that get_keys_to_not_convert or _keep_in_fp32_modules skips it. Layer numbers are replaced by 0. Of the quantized layers only two
are listed, so that there is something to quantize.
"""
import os, pathlib, re, sys, warnings

sys.path.pop(0)  # a file here has the name of the library
os.environ['HF_HUB_OFFLINE'] = '1'
warnings.filterwarnings('ignore')
import torch, transformers
from transformers.models.auto import modeling_auto
from transformers.pytorch_utils import Conv1D
from transformers.quantizers.base import get_keys_to_not_convert
from transformers.quantizers.quantizers_utils import should_convert_module

transformers.logging.set_verbosity_error()
KINDS = ['CAUSAL_LM', 'SEQ_TO_SEQ_CAUSAL_LM', 'MASKED_LM', 'SEQUENCE_CLASSIFICATION', 'SPEECH_SEQ_2_SEQ', 'TEXT_ENCODING',
         'TOKEN_CLASSIFICATION', 'PRETRAINING', 'CTC', 'IMAGE_TEXT_TO_TEXT']
DEPTHS = ['num_hidden_layers', 'n_layers', 'n_layer', 'num_layers', 'encoder_layers', 'decoder_layers', 'num_decoder_layers',
          'num_encoder_layers']


def shrink(config):
    """Two layers instead of many, with the same names."""
    for key in DEPTHS:
        if isinstance(getattr(config, key, None), int) and getattr(config, key) > 2:
            try:
                setattr(config, key, 2)
            except Exception:
                pass
    if isinstance(getattr(config, 'layer_types', None), list):
        config.layer_types = config.layer_types[:2]
    for value in vars(config).values():
        if isinstance(value, transformers.PretrainedConfig):
            shrink(value)


def build(cls):
    for change in (shrink, lambda config: None):
        try:
            config = cls.config_class()
            change(config)
            with torch.device('meta'):
                return cls._from_config(config)
        except Exception:
            continue


names = set()
for kind in KINDS:
    for found in getattr(modeling_auto, f'MODEL_FOR_{kind}_MAPPING_NAMES', {}).values():
        names.update(found if isinstance(found, (tuple, list)) else [found])
lines = []
for name in sorted(names):
    model = build(getattr(transformers, name, None)) if hasattr(transformers, name) else None
    if model is None:
        continue
    keep = sorted(model._keep_in_fp32_modules or [])
    skip = sorted(get_keys_to_not_convert(model)) + keep
    output = model.get_output_embeddings()
    outputs = [path for path, module in model.named_modules() if output is not None and module is output]
    linears = {}
    for path, module in model.named_modules():
        if isinstance(module, Conv1D) or type(module) is torch.nn.Linear:
            linears.setdefault(re.sub(r'\d+', '0', path), (not should_convert_module(path, skip), module.bias is not None))
    marked = {path: path + ('~' if bias else '') + ('!' if skipped else '') for path, (skipped, bias) in linears.items()}
    rows = [row for path, row in marked.items() if linears[path][0] or '.' not in path or path.count('.') <= 2 and '.0' not in path]
    inner = [row for path, row in marked.items() if '.0.' in path and not linears[path][0]][:2]
    rows += [row for row in inner if row not in rows]
    lines.append(f"{name} {model.config.model_type} {','.join(keep) or '-'} {','.join(outputs) or '-'} {' '.join(rows)}")
pathlib.Path(__file__).with_name('skips.txt').write_text('\n'.join(lines) + '\n')
