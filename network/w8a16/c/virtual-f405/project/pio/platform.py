"""PlatformIO's side of this project: compiler and OpenOCD are the system's, or PlatformIO's where
it has none."""

import shutil

from platformio.platform.base import PlatformBase

FROM_PLATFORMIO = {"arm-none-eabi-gcc": "toolchain-gccarmnoneeabi", "openocd": "tool-openocd"}


class TendonPlatform(PlatformBase):
    def configure_default_packages(self, options, targets):
        """Nothing is downloaded that is there: a package is wanted only where its program is not on
        the PATH."""
        super().configure_default_packages(options, targets)
        wanted = ["arm-none-eabi-gcc"] + (["openocd"] if "upload" in targets else [])
        for program, package in FROM_PLATFORMIO.items():
            self.packages[package]["optional"] = (
                program not in wanted or shutil.which(program) is not None
            )
