/* The model's interface (model.h) around TensorFlow Lite Micro's interpreter. The state is an input
 * and an output of the file, and the file's memory plan puts both at the same place, one state
 * behind the other from the beginning of the arena: it is never copied, and saved and restored as
 * one piece. Nothing here needs a constructor before main(): objects are built in place when the
 * model starts. */
#include "model.h"
#include "operators.h"
#include "tensorflow/lite/micro/micro_interpreter.h"
#include "tensorflow/lite/micro/system_setup.h"
#include "tensorflow/lite/schema/schema_generated.h"
#include <cstring>
#include <new>

/* where the board's linker script says */
alignas(16) __attribute__((section(".bss.model_arena"))) uint8_t arena[MODEL_ARENA_BYTES];

static tflite::MicroInterpreter *interpreter;
static uint32_t fault;

/* Input and output `1 + index` of the file are state `index`: both must lie where the plan says. */
static bool state_is_in_place()
{
    static const uint32_t offsets[MODEL_STATE_COUNT] = MODEL_STATE_OFFSETS;
    for (uint32_t index = 0; index < MODEL_STATE_COUNT; index++) {
        const void *planned = arena + offsets[index];
        if (interpreter->input(index + 1)->data.data != planned ||
            interpreter->output(index + 1)->data.data != planned)
            return false;
    }
    return true;
}

static uint32_t start()
{
    alignas(tflite::MicroInterpreter) static uint8_t memory[sizeof(tflite::MicroInterpreter)];
    const tflite::MicroOpResolver *operators = model_operators();
    if (operators == nullptr)
        return MODEL_FAULT_OPERATORS;
    tflite::InitializeTarget();
    interpreter = new (memory) tflite::MicroInterpreter(tflite::GetModel(model_tables[0].data),
                                                        *operators, arena, sizeof arena);
    if (interpreter->AllocateTensors() != kTfLiteOk)
        return MODEL_FAULT_ARENA;
    if (interpreter->input(0)->bytes != 2u * MODEL_SAMPLES_PER_STEP * MODEL_INPUTS ||
        interpreter->output(0)->bytes != 2u * MODEL_OUTPUTS)
        return MODEL_FAULT_SHAPE;
    return state_is_in_place() ? MODEL_FAULT_NONE : MODEL_FAULT_STATE;
}

uint32_t model_fault(void)
{
    if (interpreter == nullptr && fault == MODEL_FAULT_NONE)
        fault = start();
    return fault;
}

uint32_t model_arena_used(void)
{
    return model_fault() == MODEL_FAULT_NONE
               ? static_cast<uint32_t>(interpreter->arena_used_bytes())
               : 0u;
}

void model_reset(void)
{
    if (model_fault() == MODEL_FAULT_NONE)
        std::memset(arena, 0, MODEL_STATE_BYTES);
}

void *model_state(void)
{
    return arena;
}

/* A kernel that fails here would fail always: the trap resets the board, and the host sees that. */
void model_step(const int16_t *samples, int16_t *out)
{
    std::memcpy(interpreter->input(0)->data.raw, samples,
                2u * MODEL_SAMPLES_PER_STEP * MODEL_INPUTS);
    if (interpreter->Invoke() != kTfLiteOk)
        __builtin_trap();
    std::memcpy(out, interpreter->output(0)->data.raw, 2u * MODEL_OUTPUTS);
}
