#include "app.h"

int main(void)
{
    app_start();
    for (;;)
        app_turn();
}
