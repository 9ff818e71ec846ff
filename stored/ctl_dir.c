/* The commands of the directory: domain, account, alias. */
#include "stored/ctl.h"

const struct ctl_cmd ctl_dir_commands[] = {
    {.words = NULL},
};
