/* The schema of the directory, version by version. */
#include "stored/sql.h"

static const char *const versions[] = {
    "CREATE TABLE dir_nothing (id BIGINT PRIMARY KEY);",
};
const struct schema schema_dir = {"directory", versions, sizeof(versions) / sizeof(versions[0])};
