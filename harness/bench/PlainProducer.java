import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Semaphore;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendCallback;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.client.producer.SendStatus;
import org.apache.rocketmq.common.message.Message;

/** Sends without recording anything: what a recorded load is compared with. Prints one line and ends the process. */
public class PlainProducer {
    public static void main(String[] args) throws Exception {
        String topic = args[1];
        boolean async = args[2].equals("async");
        int width = Integer.parseInt(args[3]);
        int total = Integer.parseInt(args[4]);
        int warm = Integer.parseInt(args[5]);
        int bytes = Integer.parseInt(args[6]);
        DefaultMQProducer producer = new DefaultMQProducer("plain-producer");
        producer.setNamesrvAddr(args[0]);
        producer.setVipChannelEnabled(false);
        producer.setSendMsgTimeout(5000);
        producer.start();
        while (true) {
            try {
                if (!producer.fetchPublishMessageQueues(topic).isEmpty()) {
                    break;
                }
            } catch (Exception ignored) {
                // no route yet
            }
            Thread.sleep(20);
        }
        AtomicInteger next = new AtomicInteger();
        AtomicInteger failed = new AtomicInteger();
        AtomicLong began = new AtomicLong();
        CountDownLatch left = new CountDownLatch(total);
        Semaphore window = new Semaphore(width);
        Runnable loop = () -> {
            for (int n = next.getAndIncrement(); n < total; n = next.getAndIncrement()) {
                Message message = message(topic, n, bytes);
                if (async) {
                    window.acquireUninterruptibly();
                }
                if (n == warm) {
                    began.set(System.nanoTime());
                }
                try {
                    if (async) {
                        producer.send(message, new SendCallback() {
                            public void onSuccess(SendResult result) {
                                settle(result.getSendStatus() == SendStatus.SEND_OK);
                            }

                            public void onException(Throwable error) {
                                settle(false);
                            }

                            private void settle(boolean ok) {
                                if (!ok) {
                                    failed.incrementAndGet();
                                }
                                window.release();
                                left.countDown();
                            }
                        });
                    } else {
                        if (producer.send(message).getSendStatus() != SendStatus.SEND_OK) {
                            failed.incrementAndGet();
                        }
                        left.countDown();
                    }
                } catch (Exception error) {
                    failed.incrementAndGet();
                    window.release();
                    left.countDown();
                }
            }
        };
        int threads = async ? 1 : width;
        for (int i = 0; i < threads; i++) {
            new Thread(loop).start();
        }
        left.await();
        long nanos = System.nanoTime() - began.get();
        System.out.println("PLAIN " + (total - warm) + " " + nanos + " " + failed.get());
        System.exit(0);
    }

    private static Message message(String topic, int n, int bytes) {
        String id = "plain-" + n;
        byte[] body = new byte[bytes];
        Arrays.fill(body, (byte) '.');
        byte[] head = id.getBytes(StandardCharsets.US_ASCII);
        System.arraycopy(head, 0, body, 0, Math.min(head.length, bytes));
        return new Message(topic, null, id, 0, body, true);
    }
}
