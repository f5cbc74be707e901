/* Tendon 0.1.0: network w8a16, the application's stream of it. Graph
 * 392a68dbb01c1901e24555bd428348a2d75c7692002634026a8e576f191670b6 */
#include "model.h"

static network_state state NETWORK_IN_STATE;
static network_arena arena NETWORK_IN_ARENA;
network model_stream = {&state, &arena};
