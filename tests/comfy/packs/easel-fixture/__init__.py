from .flow import NODES as FLOW
from .forms import NODES as FORMS
from .models import NODES as MODELS
from .relays import NODES as RELAYS
from .samplers import NODES as SAMPLERS
from .values import NODES as VALUES

NODE_CLASS_MAPPINGS = {each.__name__: each for each in (*FLOW, *FORMS, *MODELS, *RELAYS, *SAMPLERS, *VALUES)}
NODE_DISPLAY_NAME_MAPPINGS = {"Options": "All the options"}
WEB_DIRECTORY = "./web"
