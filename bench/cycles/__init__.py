"""From executed counts to modelled cycles: a QEMU plugin counts, chips and cores have rules,
published cycles say how far off."""
