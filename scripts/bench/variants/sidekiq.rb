# Sidekiq's side: the job, and `ruby sidekiq.rb push N BATCH WARM_UP`, which prints how many jobs a second it pushed.

require 'sidekiq'

Sidekiq.logger.level = Logger::FATAL
# This release of Sidekiq calls the client of its day in a way that prints a line at every fetch.
Redis.silence_deprecations = true
redis = { url: ENV.fetch('REDIS_URL') }
Sidekiq.configure_client { |config| config.redis = redis }
Sidekiq.configure_server { |config| config.redis = redis }

class Add
  include Sidekiq::Job

  LOCK = Mutex.new
  @runs = 0

  class << self
    attr_reader :runs

    def count
      LOCK.synchronize { @runs += 1 }
    end
  end

  def perform(input)
    Add.count
    input['one'] + input['two']
  end
end

def push(count, batch)
  arguments = Array.new(batch) { [{ 'one' => 1, 'two' => 2 }] }
  0.step(count - 1, batch) do |sent|
    left = [batch, count - sent].min
    Sidekiq::Client.push_bulk('class' => Add, 'args' => left == batch ? arguments : arguments.first(left))
  end
end

if Sidekiq.server?
  runs_file = ENV.fetch('BENCH_RUNS')
  at_exit { File.write(runs_file, Add.runs.to_s) }
elsif ARGV[0] == 'push'
  count, batch, warm_up = ARGV[1..3].map(&:to_i)
  push(warm_up, batch)
  began = Process.clock_gettime(Process::CLOCK_MONOTONIC)
  push(count, batch)
  puts count / (Process.clock_gettime(Process::CLOCK_MONOTONIC) - began)
end
