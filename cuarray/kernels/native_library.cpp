// The C++ that every process runs from its start: the system's compiler makes a shared library of it once, instead of
// Cling in each process (_runtime/native.py). Python finds its functions by their names below namespace ca.
#include "host/blas.hpp"
#include "host/python_calls.hpp"
#include "host/python_launch.hpp"
#include "host/recording.hpp"
#include "launch_extended.hpp"
#include "memory_pool.hpp"
#include "python_functions.hpp"
#include "record_launch.hpp"
#include "transfers.hpp"

namespace ca {
// For compilers that ask now and then whether to go on.
inline int is_set(void* flag, void*) noexcept { return __atomic_load_n(static_cast<int*>(flag), __ATOMIC_RELAXED); }
}  // namespace ca

struct Export {
  ca::python_functions::Method method;
  const void* address;
};

#define CA_EXPORT_AS(name, long)                                                                                     \
  {                                                                                                                  \
    {#name, &ca::python_functions::Function<&ca::name, long>::call, ca::python_functions::fast_call, nullptr},       \
        reinterpret_cast<const void*>(&ca::name)                                                                     \
  }
#define CA_EXPORT(name) CA_EXPORT_AS(name, false)
#define CA_EXPORT_LONG(name) CA_EXPORT_AS(name, true)  // what runs kernels or waits: Python calls it without the GIL

extern "C" __attribute__((visibility("default"))) const Export ca_exports[] = {
    CA_EXPORT(is_set),
    CA_EXPORT(current_stream_cell),
    CA_EXPORT(get_current_stream),
    CA_EXPORT(python::functions),
    CA_EXPORT(python::call_functions),
    CA_EXPORT_LONG(launch_builtin),
    CA_EXPORT_LONG(launch_with_head),
    CA_EXPORT_LONG(launch_user),
    CA_EXPORT(make_extended_function),
    CA_EXPORT_LONG(launch_extended),
    CA_EXPORT(pool_create),
    CA_EXPORT(pool_allocate),
    CA_EXPORT(pool_free),
    CA_EXPORT(pool_allocate_scratch),
    CA_EXPORT(pool_free_scratch),
    CA_EXPORT(pool_trim),
    CA_EXPORT(pool_set_limit),
    CA_EXPORT(pool_last_error),
    CA_EXPORT(pool_statistics),
    CA_EXPORT(pool_sizes),
    CA_EXPORT(pool_set_events),
    CA_EXPORT(pool_set_fills),
    CA_EXPORT(pool_add_stream),
    CA_EXPORT(pool_remove_stream),
    CA_EXPORT(pool_begin_capture),
    CA_EXPORT(pool_join_capture),
    CA_EXPORT(pool_leave_capture),
    CA_EXPORT(pool_release_capture),
    CA_EXPORT(pool_lock),
    CA_EXPORT(pool_unlock),
    CA_EXPORT(transfer_set),
    CA_EXPORT_LONG(transfer_read),
    CA_EXPORT_LONG(transfer_write),
    CA_EXPORT(transfer_lend),
    CA_EXPORT(host_allocate),
    CA_EXPORT(host_release),
    CA_EXPORT(host::launch_on_stream),
    CA_EXPORT(host::set_blas),
    CA_EXPORT(host::register_kernel),
    CA_EXPORT(host::reset_after_fork),
    CA_EXPORT(host::recording_create),
    CA_EXPORT(host::recording_destroy),
    CA_EXPORT(host::recording_add_stream),
    CA_EXPORT(host::recording_remove_stream),
    CA_EXPORT_LONG(host::recording_replay),
    CA_EXPORT(host::unlock_recordings_after_fork),
    {{nullptr, nullptr, 0, nullptr}, nullptr},
};
