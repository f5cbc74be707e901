/* Tendon 0.1.0: network w8a16, its constants. Graph
 * 392a68dbb01c1901e24555bd428348a2d75c7692002634026a8e576f191670b6 */
#ifndef NETWORK_TABLES_H
#define NETWORK_TABLES_H
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
extern const int8_t network_inward_2_weights[128];
extern const int32_t network_inward_2_bias[6];
extern const int32_t network_inward_2_mult[6];
extern const int8_t network_gates_weights[96];
extern const int32_t network_gates_bias[8];
extern const int32_t network_gates_mult[8];
extern const int8_t network_input_weights[32];
extern const int32_t network_input_bias[4];
extern const int32_t network_input_mult[4];
extern const int8_t network_l0_state_weights[16];
extern const int32_t network_l0_state_bias[4];
extern const int32_t network_l0_state_mult[4];
extern const int16_t network_sigmoid[257];
extern const int16_t network_tanh[257];
extern const int8_t network_outward_weights[16];
extern const int32_t network_outward_bias[2];
extern const int32_t network_outward_mult[2];
#ifdef __cplusplus
}
#endif
#endif
