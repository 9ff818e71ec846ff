/* The schema of the shard, version by version. */
#include "stored/sql.h"

static const char *const versions[] = {
    "CREATE TABLE shard_nothing (id BIGINT PRIMARY KEY);",
};
const struct schema schema_shard = {"shard", versions, sizeof(versions) / sizeof(versions[0])};
