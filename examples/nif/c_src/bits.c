#include <erl_nif.h>

/* The number of bits of a binary that are set. */
static ERL_NIF_TERM count(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[])
{
    ErlNifBinary binary;
    unsigned long total = 0;
    (void)argc;
    if (!enif_inspect_binary(env, argv[0], &binary))
        return enif_make_badarg(env);
    for (size_t at = 0; at < binary.size; at++)
        total += (unsigned long)__builtin_popcount(binary.data[at]);
    return enif_make_ulong(env, total);
}

static ErlNifFunc functions[] = {{"count", 1, count, 0}};

ERL_NIF_INIT(bits, functions, NULL, NULL, NULL, NULL)
