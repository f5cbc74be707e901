#include "../../model/network_tables.c"
