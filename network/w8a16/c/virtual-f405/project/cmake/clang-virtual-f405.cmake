# STM32F405RG, Cortex-M4F at 168 MHz: clang for its core, with the newlib and the linker of
# arm-none-eabi-gcc
set(CMAKE_SYSTEM_NAME Generic)
set(CMAKE_SYSTEM_PROCESSOR arm)
set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)
find_program(TENDON_CLANG NAMES clang-24 clang-23 clang-22 clang-21 clang-20 clang-19 clang-18
  clang-17 clang-16 clang-15 clang REQUIRED)
set(CMAKE_C_COMPILER "${TENDON_CLANG}")
set(CMAKE_C_COMPILER_TARGET arm-none-eabi)
set(CMAKE_CXX_COMPILER "${TENDON_CLANG}")
set(CMAKE_CXX_COMPILER_TARGET arm-none-eabi)
set(CMAKE_ASM_COMPILER "${TENDON_CLANG}")
set(CMAKE_ASM_COMPILER_TARGET arm-none-eabi)
find_program(CMAKE_AR arm-none-eabi-ar REQUIRED)
find_program(CMAKE_RANLIB arm-none-eabi-ranlib REQUIRED)
find_program(CMAKE_LINKER arm-none-eabi-ld REQUIRED)
execute_process(COMMAND arm-none-eabi-gcc -include string.h -E -x c /dev/null
  OUTPUT_VARIABLE SEEN COMMAND_ERROR_IS_FATAL ANY)
string(REGEX MATCH "\"([^\"]*)/string\\.h\"" SEEN "${SEEN}")
set(CMAKE_C_STANDARD_INCLUDE_DIRECTORIES "${CMAKE_MATCH_1}")
set(CMAKE_CXX_STANDARD_INCLUDE_DIRECTORIES "${CMAKE_MATCH_1}")
set(CMAKE_C_FLAGS_INIT "-mcpu=cortex-m4 -mthumb -mfloat-abi=soft -fshort-enums")
set(CMAKE_CXX_FLAGS_INIT "-mcpu=cortex-m4 -mthumb -mfloat-abi=soft -fshort-enums")
set(CMAKE_ASM_FLAGS_INIT "-mcpu=cortex-m4 -mthumb -mfloat-abi=soft -fshort-enums")
set(CMAKE_EXE_LINKER_FLAGS_INIT
  "-nostdlib -Wno-unused-command-line-argument \"--ld-path=${CMAKE_LINKER}\"")
string(APPEND CMAKE_EXE_LINKER_FLAGS_INIT " -Wl,-z,noexecstack")
execute_process(COMMAND arm-none-eabi-gcc -mcpu=cortex-m4 -mthumb -mfloat-abi=soft
  -print-file-name=libc.a
  OUTPUT_VARIABLE FOUND OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
string(APPEND LIBRARIES " \"${FOUND}\"")
execute_process(COMMAND arm-none-eabi-gcc -mcpu=cortex-m4 -mthumb -mfloat-abi=soft
  -print-file-name=libgcc.a
  OUTPUT_VARIABLE FOUND OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
string(APPEND LIBRARIES " \"${FOUND}\"")
set(CMAKE_C_STANDARD_LIBRARIES "${LIBRARIES}")
set(CMAKE_CXX_STANDARD_LIBRARIES "${LIBRARIES}")
