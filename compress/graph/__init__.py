"""The network as a stream machine: operators over tensors that each have a rate.

Every operator says how many input frames it eats for one output frame and what state it keeps: so
one graph gives MACs, state bytes, latency and the step function. A graph is either float (`Dense`,
`LayerNorm`, …) or integer (`IntDense`, …); passes turn one into the other and call `verify()` when
they are done. A graph is spoken of in its operators: g.Dense, g.IntDense.
"""

from compress.graph.file import FORMAT_VERSION, load, provenance, save
from compress.graph.graph import Graph, first_valid_frames, in_chunks
from compress.graph.verify import verify
from compress.ops import *  # noqa: F403  the one list of operators is there
