// Stackful context switching within one OS thread: stacks, and the jump from one to another.
#pragma once
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cstddef>
#include <cstdio>
#include <cstdlib>

namespace ca::host {

// Saves the callee-saved registers on the running stack and its stack pointer in *from, then continues the context
// whose stack pointer is `to`. Returns when something switches back to *from. MXCSR and the x87 control word are not
// saved: they belong to the OS thread, and kernels do not change them.
// `ret` rather than an indirect jump: threads of a block mostly wait at the same call, so the processor's return
// predictor is right although the stack is another one.
#if defined(__x86_64__)
__attribute__((naked, noinline)) inline void switch_stack(void** from, void* to) {
  asm volatile(
      "pushq %%rbp\n\t"
      "pushq %%rbx\n\t"
      "pushq %%r12\n\t"
      "pushq %%r13\n\t"
      "pushq %%r14\n\t"
      "pushq %%r15\n\t"
      "movq %%rsp, (%%rdi)\n\t"
      "movq %%rsi, %%rsp\n\t"
      "popq %%r15\n\t"
      "popq %%r14\n\t"
      "popq %%r13\n\t"
      "popq %%r12\n\t"
      "popq %%rbx\n\t"
      "popq %%rbp\n\t"
      "ret" ::: "memory");
}
// Calls function(argument) and returns when that does, or when something switches to *escape, however deep in calls.
__attribute__((naked, noinline)) inline void call_with_escape(void** escape, void (*function)(void*), void* argument) {
  asm volatile(
      "pushq %%rbp\n\t"
      "pushq %%rbx\n\t"
      "pushq %%r12\n\t"
      "pushq %%r13\n\t"
      "pushq %%r14\n\t"
      "pushq %%r15\n\t"
      "movq %%rsp, (%%rdi)\n\t"
      "subq $8, %%rsp\n\t"
      "movq %%rdx, %%rdi\n\t"
      "callq *%%rsi\n\t"
      "addq $8, %%rsp\n\t"
      "popq %%r15\n\t"
      "popq %%r14\n\t"
      "popq %%r13\n\t"
      "popq %%r12\n\t"
      "popq %%rbx\n\t"
      "popq %%rbp\n\t"
      "ret" ::: "memory");
}
constexpr int saved_words = 8;         // six registers, the return address, and a zero that ends backtraces
constexpr int return_address_word = 6;
#elif defined(__aarch64__)
__attribute__((naked, noinline)) inline void switch_stack(void** from, void* to) {
  asm volatile(
      "sub sp, sp, #160\n\t"
      "stp x19, x20, [sp, #0]\n\t"
      "stp x21, x22, [sp, #16]\n\t"
      "stp x23, x24, [sp, #32]\n\t"
      "stp x25, x26, [sp, #48]\n\t"
      "stp x27, x28, [sp, #64]\n\t"
      "stp x29, x30, [sp, #80]\n\t"
      "stp d8, d9, [sp, #96]\n\t"
      "stp d10, d11, [sp, #112]\n\t"
      "stp d12, d13, [sp, #128]\n\t"
      "stp d14, d15, [sp, #144]\n\t"
      "mov x9, sp\n\t"
      "str x9, [x0]\n\t"
      "mov sp, x1\n\t"
      "ldp x19, x20, [sp, #0]\n\t"
      "ldp x21, x22, [sp, #16]\n\t"
      "ldp x23, x24, [sp, #32]\n\t"
      "ldp x25, x26, [sp, #48]\n\t"
      "ldp x27, x28, [sp, #64]\n\t"
      "ldp x29, x30, [sp, #80]\n\t"
      "ldp d8, d9, [sp, #96]\n\t"
      "ldp d10, d11, [sp, #112]\n\t"
      "ldp d12, d13, [sp, #128]\n\t"
      "ldp d14, d15, [sp, #144]\n\t"
      "add sp, sp, #160\n\t"
      "ret" ::: "memory");
}
__attribute__((naked, noinline)) inline void call_with_escape(void** escape, void (*function)(void*), void* argument) {
  asm volatile(
      "sub sp, sp, #160\n\t"
      "stp x19, x20, [sp, #0]\n\t"
      "stp x21, x22, [sp, #16]\n\t"
      "stp x23, x24, [sp, #32]\n\t"
      "stp x25, x26, [sp, #48]\n\t"
      "stp x27, x28, [sp, #64]\n\t"
      "stp x29, x30, [sp, #80]\n\t"
      "stp d8, d9, [sp, #96]\n\t"
      "stp d10, d11, [sp, #112]\n\t"
      "stp d12, d13, [sp, #128]\n\t"
      "stp d14, d15, [sp, #144]\n\t"
      "mov x9, sp\n\t"
      "str x9, [x0]\n\t"
      "mov x0, x2\n\t"
      "blr x1\n\t"
      "ldp x19, x20, [sp, #0]\n\t"
      "ldp x21, x22, [sp, #16]\n\t"
      "ldp x23, x24, [sp, #32]\n\t"
      "ldp x25, x26, [sp, #48]\n\t"
      "ldp x27, x28, [sp, #64]\n\t"
      "ldp x29, x30, [sp, #80]\n\t"
      "ldp d8, d9, [sp, #96]\n\t"
      "ldp d10, d11, [sp, #112]\n\t"
      "ldp d12, d13, [sp, #128]\n\t"
      "ldp d14, d15, [sp, #144]\n\t"
      "add sp, sp, #160\n\t"
      "ret" ::: "memory");
}
constexpr int saved_words = 20;
constexpr int return_address_word = 11;  // x30, the link register
#else
#error "cuarray's host backend knows x86-64 and aarch64"
#endif

// A fiber's stack. This record lies at its top.
struct Stack {
  Stack* next;
  Stack* made_before;  // a list of all stacks of one owner, whether used or not
  void* top;  // where frames begin: 16-byte aligned
};

// Makes the context that calls entry() on an unused stack; entry must not return.
inline void* new_context(Stack* stack, void (*entry)()) noexcept {
  void** words = static_cast<void**>(stack->top) - saved_words;
  for (int i = 0; i < saved_words; ++i) words[i] = nullptr;
  words[return_address_word] = reinterpret_cast<void*>(entry);
  return words;
}

// Maps a stack with a guard page below it. Running out of memory in the middle of a block cannot be reported to
// anyone, so it ends the process.
inline Stack* new_stack() noexcept {
  constexpr std::size_t bytes = 256 << 10;
  static std::atomic<unsigned> made{0};
  const std::size_t page = sysconf(_SC_PAGESIZE);
  constexpr int mapping = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK;
  void* low = mmap(nullptr, page + bytes, PROT_READ | PROT_WRITE, mapping, -1, 0);
  if (low == MAP_FAILED) {
    std::fputs("cuarray: no memory for the stack of a kernel's thread\n", stderr);
    std::abort();
  }
  const unsigned index = made.fetch_add(1, std::memory_order_relaxed);
  // mprotect splits the mapping in two, and a process may have 65530 of them; the advice (Linux 6.13) does not. Where
  // there is neither, the stacks beyond the first thousands go unguarded: the guard only serves to find mistakes.
  constexpr int guard_install = 102;  // MADV_GUARD_INSTALL
  if (madvise(low, page, guard_install) != 0 && index < 8192) mprotect(low, page, PROT_NONE);
  char* high = static_cast<char*>(low) + page + bytes;
  // Stacks begin at different cache lines of their pages, so that the frames of a block's threads do not all fall
  // into the same sets of the first-level cache.
  Stack* stack = reinterpret_cast<Stack*>(high - 64 * (1 + index * 5 % 32));
  stack->next = stack->made_before = nullptr;
  stack->top = stack;
  return stack;
}

}  // namespace ca::host
