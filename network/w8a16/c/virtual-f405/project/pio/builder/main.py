"""How PlatformIO builds this project: as its Makefile does, file by file, with the flags that
platformio.ini names."""

import os
import shutil

from SCons.Script import AlwaysBuild, Default, DefaultEnvironment

env = DefaultEnvironment()
core = env.GetProjectOption("custom_core_flags").split()

env.Replace(
    CC="arm-none-eabi-gcc",
    LINK="arm-none-eabi-gcc",
    AR="arm-none-eabi-ar",
    OBJCOPY="arm-none-eabi-objcopy",
    OBJDUMP="arm-none-eabi-objdump",
    PROGNAME="firmware",
    PROGSUFFIX=".elf",
)
env.Append(
    CCFLAGS=[*core, "-Os", env.subst("-ffile-prefix-map=$PROJECT_DIR=.")],
    LINKFLAGS=[
        *core,
        *env.GetProjectOption("custom_link_flags").split(),
        env.subst("-Wl,-Map,$BUILD_DIR/firmware.map"),
    ],
)


def for_speed(env, source):
    """The kernels: the last -O counts."""
    return env.Object(source, CCFLAGS=[*env["CCFLAGS"], "-O3"])


env.AddBuildMiddleware(for_speed, "*nn[/\\]nn_*.c")
elf = env.BuildProgram()
STAMP = "port/cortex-m/stamp.sh"
# the CRC over the whole image, which it checks at every start; a user's own program has none
if shutil.which("sh") and os.path.isfile(STAMP):
    stamp = f'sh {STAMP} $OBJDUMP "$TARGET"'
    env.AddPostAction(elf, env.VerboseAction(stamp, "Writing the CRC into $TARGET"))
to_binary = f"$OBJCOPY -O binary {env.GetProjectOption('custom_binary_flags', '')} $SOURCE $TARGET"
image = env.Command("$BUILD_DIR/firmware.bin", elf, env.VerboseAction(to_binary, "Writing $TARGET"))

program = "program {$SOURCE} verify reset exit"
openocd = [
    "openocd",
    *(f"-f {script}" for script in env.GetProjectOption("custom_openocd", "").split()),
    f'-c "{program}"',
]
env.Replace(UPLOADCMD=" ".join(openocd))
upload = env.Alias("upload", elf, env.VerboseAction("$UPLOADCMD", "Loading $SOURCE"))
AlwaysBuild(upload)
Default(image)
