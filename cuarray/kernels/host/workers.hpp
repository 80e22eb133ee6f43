// A pool of OS threads that help a caller with a job. The caller always takes part and never depends on a helper to
// make progress, so any number of threads may run jobs at once.
#pragma once
#include "../process_wide.hpp"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <mutex>

namespace ca::host {

// Lives on the caller's stack. run() is called once by each participant and returns when no work is left to take.
struct Job {
  void (*run)(Job&) noexcept;
  unsigned vacancies = 0;            // helpers that may still join; guarded by Workers::mutex
  std::atomic<unsigned> active{0};   // helpers at work; changed under Workers::mutex
  Job* next = nullptr;               // in Workers::jobs
};

struct Workers {
  std::mutex mutex;
  std::condition_variable wake, finished;
  Job* jobs = nullptr;                 // jobs whose callers still take work from them
  std::atomic<unsigned> vacancies{0};  // of all jobs, for idle workers to watch; changed under the mutex
  unsigned sleeping = 0;
  unsigned started = 0;
};

inline long now_ns() noexcept {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000000L + t.tv_nsec;
}

// Waits a short while for a condition: long enough to bridge two launches of a loop, short enough to go unnoticed.
template <class Condition> inline bool spin_until(Condition condition) noexcept {
  constexpr long limit_ns = 30000;
  if (condition()) return true;
  for (const long end = now_ns() + limit_ns; now_ns() < end;) {
    for (int i = 0; i < 8; ++i) {
#if defined(__x86_64__)
      __builtin_ia32_pause();
#else
      asm volatile("yield");
#endif
      if (condition()) return true;
    }
  }
  return false;
}

// Never destroyed: its threads are detached and run until the process ends.
CA_PROCESS_WIDE(Workers*, workers_instance, new Workers)

// Threads that work on one launch, the calling one included. 0: not known yet.
CA_PROCESS_WIDE(std::atomic<unsigned>, worker_limit, 0)

inline unsigned available_cores() noexcept {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
  const long online = sysconf(_SC_NPROCESSORS_ONLN);  // a machine with more cores than a cpu_set_t holds
  return online > 0 ? online : 1;
}

// 0: as many as this thread may use cores. Takes effect with the next launch.
inline void set_workers(int count) noexcept { worker_limit().store(count > 0 ? count : available_cores()); }

inline unsigned worker_count() noexcept {
  if (worker_limit().load(std::memory_order_relaxed) == 0) set_workers(0);
  return worker_limit().load(std::memory_order_relaxed);
}

inline void* work(void* argument) noexcept {
  Workers& workers = *static_cast<Workers*>(argument);
  std::unique_lock<std::mutex> lock(workers.mutex, std::defer_lock);
  while (true) {
    spin_until([&] { return workers.vacancies.load(std::memory_order_relaxed) != 0; });
    lock.lock();
    Job* job = nullptr;
    while (true) {
      for (job = workers.jobs; job && job->vacancies == 0;) job = job->next;
      if (job) break;
      ++workers.sleeping;
      workers.wake.wait(lock);
      --workers.sleeping;
    }
    --job->vacancies;
    --workers.vacancies;
    job->active.store(job->active.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    const unsigned wanted = std::min(workers.sleeping, workers.vacancies.load(std::memory_order_relaxed));
    lock.unlock();
    // Each worker that joins wakes two more while they are wanted: the caller need not wake them one by one.
    for (unsigned i = 0; i < 2 && i < wanted; ++i) workers.wake.notify_one();
    job->run(*job);
    lock.lock();
    const bool last = job->active.load(std::memory_order_relaxed) == 1;
    job->active.store(job->active.load(std::memory_order_relaxed) - 1, std::memory_order_release);
    lock.unlock();  // the job may be gone from here on
    if (last) workers.finished.notify_all();
  }
}

// Called with the mutex held. With fewer threads than asked for, callers do the work themselves.
inline void start_threads(Workers& workers, unsigned count) noexcept {
  if (workers.started >= count) return;
  // Signals are for Python's threads. What a thread does wrong itself must still reach the fault handler.
  sigset_t asynchronous, previous;
  sigfillset(&asynchronous);
  for (int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP}) sigdelset(&asynchronous, fault);
  pthread_sigmask(SIG_SETMASK, &asynchronous, &previous);
  // pthread_create and not std::thread, whose constructor throws.
  for (pthread_t thread; workers.started < count; ++workers.started) {
    if (pthread_create(&thread, nullptr, work, &workers) != 0) break;
    pthread_detach(thread);
  }
  pthread_sigmask(SIG_SETMASK, &previous, nullptr);
}

// Runs the job on this thread and up to `helpers` workers; returns when all of it is done.
inline void run_job(Job& job, unsigned helpers) noexcept {
  Workers& workers = *workers_instance();
  bool asleep;
  {
    std::lock_guard<std::mutex> lock(workers.mutex);
    start_threads(workers, helpers);
    job.vacancies = helpers;
    workers.vacancies += helpers;
    job.next = workers.jobs;
    workers.jobs = &job;
    asleep = workers.sleeping != 0;
  }
  if (asleep) workers.wake.notify_one();
  job.run(job);
  {
    std::lock_guard<std::mutex> lock(workers.mutex);
    workers.vacancies -= job.vacancies;
    Job** link = &workers.jobs;
    while (*link != &job) link = &(*link)->next;
    *link = job.next;
  }
  auto is_done = [&] { return job.active.load(std::memory_order_acquire) == 0; };
  if (spin_until(is_done)) return;
  std::unique_lock<std::mutex> lock(workers.mutex);
  workers.finished.wait(lock, is_done);
}

}  // namespace ca::host
